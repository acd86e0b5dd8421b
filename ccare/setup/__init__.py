"""What the product needs beside its Python packages: Java, the Delta jars, a class archive, a diagnosis.

``python -m ccare.setup`` is the second half of ``scripts/bootstrap``; only the making of the class archive
starts a Spark session.
"""
