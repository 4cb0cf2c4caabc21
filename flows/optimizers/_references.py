"""Papers behind several flows and optimizers, as BibTeX; what is behind one stands with it."""

HAIRER_2006 = """@book{hairer2006geometric,
  author    = {Hairer, Ernst and Lubich, Christian and Wanner, Gerhard},
  title     = {Geometric Numerical Integration},
  edition   = {2},
  publisher = {Springer},
  year      = {2006}
}"""

ROSCA_2023 = """@article{rosca2023continuous,
  author        = {Rosca, Mihaela and Wu, Yan and Qin, Chongli and Dherin, Benoit},
  title         = {On a Continuous Time Model of Gradient Descent Dynamics and Instability
                   in Deep Learning},
  journal       = {Transactions on Machine Learning Research},
  year          = {2023},
  eprint        = {2302.01952},
  archiveprefix = {arXiv}
}"""

COHEN_2025 = """@inproceedings{cohen2025understanding,
  author        = {Cohen, Jeremy M. and Damian, Alex and Talwalkar, Ameet and Kolter, J. Zico
                   and Lee, Jason D.},
  title         = {Understanding Optimization in Deep Learning with Central Flows},
  booktitle     = {International Conference on Learning Representations},
  year          = {2025},
  eprint        = {2410.24206},
  archiveprefix = {arXiv}
}"""

LI_2020 = """@inproceedings{li2020reconciling,
  author        = {Li, Zhiyuan and Lyu, Kaifeng and Arora, Sanjeev},
  title         = {Reconciling Modern Deep Learning with Traditional Optimization Analyses:
                   The Intrinsic Learning Rate},
  booktitle     = {Advances in Neural Information Processing Systems},
  year          = {2020},
  eprint        = {2010.02916},
  archiveprefix = {arXiv}
}"""
