"""Parts of one's own: one file each, named by import path, as in docs/extend."""
