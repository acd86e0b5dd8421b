"""The JVM as Python sees it: names looked up once.

PySpark asks the JVM anew for a class and its method with each column that it makes. A short name (``functions``,
``PythonUtils``) is first looked for as a class of no package, in every jar of the class path, and then in every
package that was imported: a small day does so some six thousand times, for a tenth of its processor time.
"""

from collections.abc import Iterable
from typing import Any

from py4j.java_gateway import JavaClass, JavaMember
from pyspark.sql import SparkSession

_ASKED_FOR = (
    "functions",
    "PythonUtils",
    "org.apache.spark.sql.functions",
    "org.apache.spark.sql.classic.SparkSession",
    "org.apache.spark.sql.expressions.Window",
)
_PATTERN = "java.util.regex.Pattern"
_PATH = "org.apache.hadoop.fs.Path"


class _Remembered(JavaClass):
    """A class of the JVM that asks for each of its methods once."""

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if isinstance(found, JavaMember):
            self.__dict__[name] = found
        return found


def remember_names(spark: SparkSession) -> None:
    """Keep the classes that PySpark asks for most as attributes of the session's view of its JVM."""
    jvm: Any = spark.sparkContext._jvm
    for name in (*_ASKED_FOR, _PATTERN, _PATH):
        found = getattr(jvm, name)
        jvm.__dict__[name] = _Remembered(found._fqn, jvm._gateway_client)


def java_strings(spark: SparkSession, texts: Iterable[str]) -> Any:
    """A Java array of texts without a newline, handed over whole: py4j takes a call for each element of a list."""
    pattern = getattr(spark.sparkContext._jvm, _PATTERN)
    return pattern.compile("\n").split("\n".join(texts))


def file_uri(spark: SparkSession, path: str) -> str:
    """A local path as Spark names it: by Hadoop's rules of quoting, which are not Python's."""
    uri: str = getattr(spark.sparkContext._jvm, _PATH)(f"file:{path}").toUri().toString()
    return uri
