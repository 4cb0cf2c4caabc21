"""Functions of the Hessian applied to a vector: from the whole matrix, or from products alone."""
