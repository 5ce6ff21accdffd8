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

BUILT_IN: Final = words(
    """
    abs acos app_name approx_count_distinct ascii asin atan atn2 avg base64_decode base64_encode
    binary_checksum bit_count cast ceiling char charindex checksum checksum_agg choose coalesce
    col_length col_name columnproperty compress concat concat_ws connectionproperty convert cos cot
    count count_big cume_dist current_date current_timestamp databasepropertyex date_bucket dateadd
    datediff datediff_big datefromparts datename datepart datetime2fromparts datetimefromparts
    datetimeoffsetfromparts datetrunc day db_id db_name decompress degrees dense_rank difference
    edit_distance eomonth error_line error_message error_number error_procedure error_severity
    error_state exp file_id file_name first_value floor format formatmessage get_bit getansinull
    getdate getutcdate greatest grouping grouping_id has_perms_by_name hashbytes host_id host_name
    ident_current ident_incr ident_seed iif index_col indexproperty is_member is_rolemember
    is_srvrolemember isdate isjson isnull isnumeric json_array json_arrayagg json_contains
    json_modify json_object json_objectagg json_path_exists json_query json_value lag last_value lead
    least left left_shift len log log10 lower ltrim max min month nchar newid newsequentialid ntile
    nullif object_definition object_id object_name object_schema_name objectproperty
    objectpropertyex openjson original_login parse parsename patindex percent_rank percentile_cont
    percentile_disc permissions pi power quotename radians rand rank regexp_count regexp_instr
    regexp_like regexp_replace regexp_substr replace replicate reverse right right_shift round
    row_number rowcount_big rtrim schema_id schema_name scope_identity serverproperty session_context
    session_id session_user sessionproperty set_bit sign sin smalldatetimefromparts soundex space
    sql_variant_property sqrt square stats_date stdev stdevp str string_agg string_escape
    string_split stuff substring sum suser_id suser_name suser_sid suser_sname switchoffset
    sysdatetime sysdatetimeoffset sysutcdatetime system_user tan textptr textvalid timefromparts
    todatetimeoffset translate trim try_cast try_convert try_parse type_id type_name typeproperty
    unicode unistr update upper user user_id user_name var varp vector_distance xact_state year
    """
)
"""Functions of the server: without a schema they are always meant."""
