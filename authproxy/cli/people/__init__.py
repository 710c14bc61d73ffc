"""The register of people as operators meet it: lists in files, and the commands."""
