"""What the product needs beside its Python packages: Java, the Delta jars, a class archive, a diagnosis.

``python -m ccare.setup`` is the second half of ``scripts/bootstrap``; nothing here needs a running JVM session
except the making of the class archive.
"""
