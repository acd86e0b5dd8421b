"""The manifest: one row publishes a day across all tables."""

from ccare.tables import columns as c
from ccare.tables.model import Column, Table, WriteStyle

RUN_MANIFEST = Table(
    "run_manifest",
    "Published runs in order, each chained to the one before; readers reach every table through it.",
    "one row for each published run",
    ("seq",),
    (
        Column("seq", "bigint", "1, 2, 3 … without gaps.", nullable=False),
        c.RUN_ID,
        c.BUSINESS_DATE,
        Column(
            "revision", "int", "0 for the close of a day, then 1, 2 … for republications.", nullable=False
        ),
        Column(
            "kind",
            "string",
            "close, republish, forget, rebuild, freeze, fit, repair, maintain or migrate.",
            nullable=False,
        ),
        Column(
            "table_versions", "map<string,bigint>", "Delta version of each published table.", nullable=False
        ),
        Column("rows", "map<string,bigint>", "Rows of each table at that version.", nullable=False),
        Column(
            "log_sha256",
            "map<string,string>",
            "SHA-256 of that version's commit file.",
            nullable=False,
            volatile=True,
        ),
        Column(
            "control_totals",
            "map<string,bigint>",
            "Sums that the publication must reproduce.",
            nullable=False,
        ),
        Column("inputs_digest", "string", "Digest over the delivered files taken.", nullable=False),
        Column("code_version", "string", "Version of this package.", nullable=False),
        c.POLICY_VERSION,
        Column(
            "prev_hash",
            "string",
            "hash of the row before; empty for the first.",
            nullable=False,
            volatile=True,
        ),
        Column("hash", "string", "SHA-256 over the row.", nullable=False, volatile=True),
        Column("published_at", "timestamp", "Wall clock of the publication (UTC).", volatile=True),
    ),
    write=WriteStyle.MERGE_NEW,
    append_only=True,
)

RUN_RELEASES = Table(
    "run_releases",
    "Block rules that a person let go for one day: who, when, why, and what was let through.",
    "one row for each business date, revision, table and rule let go",
    ("business_date", "revision", "table_name", "rule"),
    (
        c.BUSINESS_DATE,
        Column("revision", "int", "Revision of the day's run that went on.", nullable=False),
        Column("table_name", "string", "Table whose gate refused the day.", nullable=False),
        Column("rule", "string", "Rule that was let go.", nullable=False),
        Column("released_by", "string", "Who let it go.", nullable=False),
        Column("reason", "string", "Why.", nullable=False),
        Column("released_at", "timestamp", "When it was let go (UTC).", nullable=False),
        Column("detail", "string", "What broke the rule, as the gate said it.", volatile=True),
        c.RUN_ID,
    ),
    write=WriteStyle.MERGE_NEW,
    caveats="Only releases that a published run used; the files themselves lie under landing/releases.",
)

RUN_REBUILDS = Table(
    "run_rebuilds",
    "State tables derived again from core rows: since when, why, and how many rows were not as they should be.",
    "one row for each business date, revision and table of a rebuild that was published",
    ("business_date", "revision", "table_name"),
    (
        c.BUSINESS_DATE,
        Column("revision", "int", "Revision of the last closed day that the rebuild is.", nullable=False),
        Column("table_name", "string", "State table.", nullable=False),
        c.day("from_date", "First business date derived again; null: all of them."),
        c.count("rows_changed", "Rows that had other values.", nullable=False),
        c.count("rows_missing", "Rows that were not there.", nullable=False),
        c.count("rows_extra", "Rows that should not have been there.", nullable=False),
        Column("reason", "string", "Why it was rebuilt.", nullable=False),
        Column("rebuilt_at", "timestamp", "Wall clock of the rebuild (UTC).", volatile=True),
        c.RUN_ID,
    ),
    write=WriteStyle.MERGE_NEW,
)

RUN_RESTATEMENTS = Table(
    "run_restatements",
    "Closed days whose metrics and scores were told again on somebody's word: which revision, when and why.",
    "one row for each business date and revision told again by ccare restate",
    ("business_date", "revision"),
    (
        c.BUSINESS_DATE,
        Column("revision", "int", "Revision that the restatement is.", nullable=False),
        Column("reason", "string", "Why it was told again.", nullable=False),
        Column("restated_at", "timestamp", "Wall clock of the restatement (UTC).", volatile=True),
        c.RUN_ID,
    ),
    write=WriteStyle.MERGE_NEW,
)

TABLES = (RUN_MANIFEST, RUN_RELEASES, RUN_REBUILDS, RUN_RESTATEMENTS)
