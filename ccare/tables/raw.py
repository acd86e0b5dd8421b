"""Manifest of deliveries: one row for each file that landed."""

from ccare.tables import columns as c
from ccare.tables.model import Column, Table

RAW_FILES = Table(
    "raw_files",
    "Every delivered file with the fate of its rows: accepted + duplicate + rejected = read.",
    "one row for each delivered file name and content",
    ("stream", "path", "file_sha256"),
    (
        Column("file_sha256", "string", "Digest of the delivered file's bytes.", nullable=False),
        Column("stream", "string", "Landing stream.", nullable=False),
        Column("path", "string", "Path under the landing folder.", nullable=False),
        c.count("bytes", "Size as delivered.", "bytes"),
        c.count("rows_read", "Lines counted before Spark saw the file."),
        c.count("rows_accepted", "Rows in the core table."),
        c.count("rows_duplicate", "Rows already taken with the same content."),
        c.count("rows_rejected", "Rows refused, each with its reasons."),
        c.DELIVERY_DATE,
        c.TAKEN_ON,
        Column("file_status", "string", "taken, repeated (same bytes before) or refused.", nullable=False),
        c.text("file_note", "Why a file was refused, or which file it repeats."),
        Column("received_at", "timestamp", "When the file was taken (UTC).", volatile=True),
        Column("modified_at", "timestamp", "The file's own modification time (UTC).", volatile=True),
        c.RUN_ID,
    ),
    partition_by=("taken_on",),
    producer="raw_files",
)

TABLES = (RAW_FILES,)
