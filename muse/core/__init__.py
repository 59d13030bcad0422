"""What all parts speak in: values, jobs, results, files, pictures. Torch and Pillow alone."""
