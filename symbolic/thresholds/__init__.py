"""Critical points with the learning rate at which each loses its stability, and how."""
