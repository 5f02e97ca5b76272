"""The study of ensembles and transfer learning on photographs of 17 kinds of flowers."""
