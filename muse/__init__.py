"""muse: make a frozen text-to-image diffusion model express an emotion, at test time."""
