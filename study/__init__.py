"""The study's logic: values in, values out. Reading and writing is left to stages/."""
