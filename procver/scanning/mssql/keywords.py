"""Words of T-SQL that are no plain identifiers."""

from __future__ import annotations

from typing import Final


def words(text: str) -> frozenset[str]:
    """Return the words of ``text`` as a set."""
    return frozenset(text.split())


RESERVED: Final = words(
    """
    add all alter and any as asc authorization backup begin between break browse bulk by cascade
    case check checkpoint close clustered coalesce collate column commit compute constraint
    contains containstable continue convert create cross current current_date current_time
    current_timestamp current_user cursor database dbcc deallocate declare default delete deny
    desc disk distinct distributed double drop dump else end errlvl escape except exec execute
    exists exit external fetch file fillfactor for foreign freetext freetexttable from full
    function goto grant group having holdlock identity identity_insert identitycol if in index
    inner insert intersect into is join key kill left like lineno load merge national nocheck
    nonclustered not null nullif of off offsets on open opendatasource openquery openrowset
    openxml option or order outer over percent pivot plan precision primary print proc procedure
    public raiserror read readtext reconfigure references replication restore restrict return
    revert revoke right rollback rowcount rowguidcol rule save schema securityaudit select
    semantickeyphrasetable semanticsimilaritydetailstable semanticsimilaritytable session_user
    set setuser shutdown some statistics system_user table tablesample textsize then to top tran
    transaction trigger truncate try_convert tsequal union unique unpivot update updatetext use
    user values varying view waitfor when where while with within writetext
    """
)
"""The manual's "Reserved keywords": no identifier without brackets is one of them."""

_CONTEXT: Final = words(
    """
    action apply at cast catch encryption go hash loop matched max native_compilation nocount
    nowait object output percent quoted_identifier ansi_nulls readonly remote returns
    schemabinding signature source system_time target throw ties tran try trim type using window
    without xmlnamespaces
    """
)

ALL: Final = RESERVED | _CONTEXT
"""What keeps its brackets when tokens are folded, so that it is never taken for a keyword."""

NO_ALIAS: Final = frozenset({"using", "output", "window", "apply", "go"})
"""Not reserved, and yet never the alias of a FROM item."""

_UNLIKELY_COLUMNS: Final = words(
    """
    ansi_nulls apply catch nocount nolock nowait quoted_identifier readonly returns
    schemabinding try xmlnamespaces bigint datetime2 datetimeoffset int nchar nvarchar
    smalldatetime smallint smallmoney sql_variant sysname tinyint varbinary varchar charindex
    dateadd datediff datepart dense_rank getdate getutcdate isnull isnumeric newid patindex
    quotename row_number scope_identity sysdatetime sysutcdatetime
    """
)

CASELESS: Final = RESERVED | _UNLIKELY_COLUMNS
"""Words whose case is layout. Every other word may become the name of a result's column, and
clients see its case; so writing ``Id`` for ``id`` is a change."""
