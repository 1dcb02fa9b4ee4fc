"""What every room needs: errors, files and YAML. Knows no other room."""
