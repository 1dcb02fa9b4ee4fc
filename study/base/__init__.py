"""What every package needs: errors, files and YAML. Imports no other package of the study."""
