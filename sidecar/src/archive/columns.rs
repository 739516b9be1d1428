//! The columns of a row group. Events become columns, which are written to a file, read back, and become events again.

use std::sync::{Arc, LazyLock};

use audit_proof::{Event, Salt, Source};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::{ColumnReader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::{SerializedColumnWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

use super::record::Record;

/// Schema of a file. It uses types that every reader of Parquet knows: details are text, and `xid` is a signed number.
pub(super) static SCHEMA: LazyLock<TypePtr> =
    LazyLock::new(|| Arc::new(parse_message_type(MESSAGE_TYPE).expect("the schema is valid")));

const MESSAGE_TYPE: &str = "message event {
    required int64 id;
    required binary workspace (STRING);
    required int64 occurred_at (TIMESTAMP(MICROS, true));
    required int64 recorded_at (TIMESTAMP(MICROS, true));
    required binary category (STRING);
    required binary action (STRING);
    required binary outcome (STRING);
    optional binary actor (STRING);
    required group targets (LIST) { repeated group list { required binary element (STRING); } }
    optional binary ip (STRING);
    optional binary user_agent (STRING);
    optional binary session_id (STRING);
    optional binary request_id (STRING);
    required binary database_user (STRING);
    optional binary application_name (STRING);
    optional binary client_addr (STRING);
    required int32 masked;
    required group adjusted (LIST) { repeated group list { required binary element (STRING); } }
    required binary details (STRING);
    required binary salt;
    required int64 xid;
    required int32 expires_on (DATE);
}";

/// Compression level of zstd, 1 to 22.
const LEVEL: i32 = 3;

/// Returns the properties of the files.
pub(super) fn properties() -> WriterPropertiesPtr {
    let level = ZstdLevel::try_new(LEVEL).expect("the level exists");
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("audit-sidecar {}", env!("CARGO_PKG_VERSION")))
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(level))
        .set_sorting_columns(Some(
            [OCCURRED_AT, ID]
                .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false })
                .into(),
        ));
    // The values of these columns are rarely equal.
    for name in ["id", "occurred_at", "recorded_at", "details", "salt"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    // The least and the greatest value of these columns do not help to skip rows.
    for name in ["details", "salt"] {
        properties = properties.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None);
    }
    Arc::new(properties.build())
}

const ID: i32 = 0;
const OCCURRED_AT: i32 = 2;

/// The rows of a row group, by column.
pub(super) struct Columns {
    rows: usize,
    bytes: usize,
    id: Vec<i64>,
    workspace: Texts,
    occurred_at: Vec<i64>,
    recorded_at: Vec<i64>,
    category: Texts,
    action: Texts,
    outcome: Texts,
    actor: Texts,
    targets: Texts,
    ip: Texts,
    user_agent: Texts,
    session_id: Texts,
    request_id: Texts,
    database_user: Texts,
    application_name: Texts,
    client_addr: Texts,
    masked: Vec<i32>,
    adjusted: Texts,
    details: Texts,
    salt: Texts,
    xid: Vec<i64>,
    expires_on: Vec<i32>,
}

/// Memory of a row besides its values, in bytes.
const ROW_OVERHEAD: usize = 800;

impl Columns {
    /// Creates the columns without rows.
    pub fn new() -> Self {
        Self {
            rows: 0,
            bytes: 0,
            id: Vec::new(),
            workspace: Texts::required(),
            occurred_at: Vec::new(),
            recorded_at: Vec::new(),
            category: Texts::required(),
            action: Texts::required(),
            outcome: Texts::required(),
            actor: Texts::optional(),
            targets: Texts::list(),
            ip: Texts::optional(),
            user_agent: Texts::optional(),
            session_id: Texts::optional(),
            request_id: Texts::optional(),
            database_user: Texts::required(),
            application_name: Texts::optional(),
            client_addr: Texts::optional(),
            masked: Vec::new(),
            adjusted: Texts::list(),
            details: Texts::required(),
            salt: Texts::required(),
            xid: Vec::new(),
            expires_on: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn push(&mut self, record: &Record<'_>) {
        let Record { event, xid, expires_on } = record;
        self.rows += 1;
        self.bytes += ROW_OVERHEAD + record.text_bytes();
        self.id.push(event.id);
        self.workspace.push(event.workspace);
        self.occurred_at.push(event.occurred_at);
        self.recorded_at.push(event.recorded_at);
        self.category.push(event.category);
        self.action.push(event.action);
        self.outcome.push(event.outcome);
        self.actor.push_optional(event.actor);
        self.targets.push_list(event.targets);
        self.ip.push_optional(event.source.ip);
        self.user_agent.push_optional(event.source.user_agent);
        self.session_id.push_optional(event.source.session_id);
        self.request_id.push_optional(event.source.request_id);
        self.database_user.push(event.source.database_user.unwrap_or_default());
        self.application_name.push_optional(event.source.application_name);
        self.client_addr.push_optional(event.source.client_addr);
        self.masked.push(event.source.masked.cast_signed());
        self.adjusted.push_list(event.source.adjusted);
        self.details.push(event.details);
        self.salt.push(event.salt.to_stored());
        self.xid.push(*xid);
        self.expires_on.push(*expires_on);
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the approximate memory of the rows, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes the rows as a row group.
    ///
    /// # Errors
    /// Returns the errors of the output.
    pub fn write(&mut self, mut group: SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<()> {
        for column in self.in_order() {
            let mut out = group.next_column()?.ok_or_else(|| ParquetError::General("a column is missing".into()))?;
            column.write(&mut out)?;
            out.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Reads a row group of a file with this [`SCHEMA`].
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub fn read(group: &dyn RowGroupReader) -> Result<Self> {
        let rows = usize::try_from(group.metadata().num_rows())?;
        let mut columns = Self { rows, ..Self::new() };
        for (index, column) in columns.in_order().into_iter().enumerate() {
            column.read(group.get_column_reader(index)?, rows)?;
        }
        Ok(columns)
    }

    /// Calls `then` with each row.
    ///
    /// # Errors
    /// Fails if a text is not UTF-8 or a salt is not valid, and returns the errors of `then`.
    pub fn each<E: From<ParquetError>>(
        &self,
        mut then: impl FnMut(&Record<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut actor = self.actor.rows();
        let mut targets = self.targets.rows();
        let mut ip = self.ip.rows();
        let mut user_agent = self.user_agent.rows();
        let mut session_id = self.session_id.rows();
        let mut request_id = self.request_id.rows();
        let mut application_name = self.application_name.rows();
        let mut client_addr = self.client_addr.rows();
        let mut adjusted = self.adjusted.rows();
        for row in 0..self.rows {
            let salt = self.salt.values.get(row).ok_or_else(cut)?.data();
            let targets = targets.next_list()?;
            let adjusted = adjusted.next_list()?;
            let event = Event {
                id: self.id[row],
                workspace: self.workspace.text(row)?,
                occurred_at: self.occurred_at[row],
                recorded_at: self.recorded_at[row],
                category: self.category.text(row)?,
                action: self.action.text(row)?,
                outcome: self.outcome.text(row)?,
                actor: actor.next_text()?,
                targets: targets.as_slice(),
                source: Source {
                    ip: ip.next_text()?,
                    user_agent: user_agent.next_text()?,
                    session_id: session_id.next_text()?,
                    request_id: request_id.next_text()?,
                    database_user: Some(self.database_user.text(row)?),
                    application_name: application_name.next_text()?,
                    client_addr: client_addr.next_text()?,
                    masked: self.masked.get(row).ok_or_else(cut)?.cast_unsigned(),
                    adjusted: adjusted.as_slice(),
                },
                details: self.details.text(row)?,
                salt: Salt::from_stored(salt)
                    .ok_or_else(|| ParquetError::General(format!("a salt has {} bytes", salt.len())))?,
                leaf: None,
            };
            then(&Record { event, xid: self.xid[row], expires_on: self.expires_on[row] })?;
        }
        Ok(())
    }

    /// Returns the columns in the order of [`SCHEMA`].
    fn in_order(&mut self) -> [&mut dyn Column; 22] {
        [
            &mut self.id,
            &mut self.workspace,
            &mut self.occurred_at,
            &mut self.recorded_at,
            &mut self.category,
            &mut self.action,
            &mut self.outcome,
            &mut self.actor,
            &mut self.targets,
            &mut self.ip,
            &mut self.user_agent,
            &mut self.session_id,
            &mut self.request_id,
            &mut self.database_user,
            &mut self.application_name,
            &mut self.client_addr,
            &mut self.masked,
            &mut self.adjusted,
            &mut self.details,
            &mut self.salt,
            &mut self.xid,
            &mut self.expires_on,
        ]
    }
}

/// The values of a column.
trait Column {
    /// Writes all values.
    fn write(&self, out: &mut SerializedColumnWriter<'_>) -> Result<()>;

    /// Reads the values of `rows` rows.
    fn read(&mut self, from: ColumnReader, rows: usize) -> Result<()>;
}

impl Column for Vec<i64> {
    fn write(&self, out: &mut SerializedColumnWriter<'_>) -> Result<()> {
        out.typed::<Int64Type>().write_batch(self, None, None).map(drop)
    }

    fn read(&mut self, from: ColumnReader, rows: usize) -> Result<()> {
        read::<Int64Type>(from, rows, None, None, self)
    }
}

impl Column for Vec<i32> {
    fn write(&self, out: &mut SerializedColumnWriter<'_>) -> Result<()> {
        out.typed::<Int32Type>().write_batch(self, None, None).map(drop)
    }

    fn read(&mut self, from: ColumnReader, rows: usize) -> Result<()> {
        read::<Int32Type>(from, rows, None, None, self)
    }
}

impl Column for Texts {
    fn write(&self, out: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let (definition, repetition) = (self.definition.as_deref(), self.repetition.as_deref());
        out.typed::<ByteArrayType>().write_batch(&self.values, definition, repetition).map(drop)
    }

    fn read(&mut self, from: ColumnReader, rows: usize) -> Result<()> {
        let (definition, repetition) = (self.definition.as_mut(), self.repetition.as_mut());
        read::<ByteArrayType>(from, rows, definition, repetition, &mut self.values)
    }
}

fn read<T: DataType>(
    from: ColumnReader,
    rows: usize,
    mut definition: Option<&mut Vec<i16>>,
    mut repetition: Option<&mut Vec<i16>>,
    values: &mut Vec<T::T>,
) -> Result<()> {
    let mut reader = get_typed_column_reader::<T>(from);
    let mut missing = rows;
    while missing > 0 {
        let (found, _, _) =
            reader.read_records(missing, definition.as_deref_mut(), repetition.as_deref_mut(), values)?;
        if found == 0 {
            return Err(ParquetError::General(format!("a column has {} of {rows} rows", rows - missing)));
        }
        missing -= found;
    }
    Ok(())
}

/// A column of texts or bytes. Levels are those of the Dremel paper. A definition level of 1 means that there is a
/// value. A repetition level of 1 means that the value belongs to the same row as the one before.
struct Texts {
    values: Vec<ByteArray>,
    definition: Option<Vec<i16>>,
    repetition: Option<Vec<i16>>,
}

impl Texts {
    fn required() -> Self {
        Self { values: Vec::new(), definition: None, repetition: None }
    }

    fn optional() -> Self {
        Self { definition: Some(Vec::new()), ..Self::required() }
    }

    fn list() -> Self {
        Self { repetition: Some(Vec::new()), ..Self::optional() }
    }

    fn push(&mut self, value: impl AsRef<[u8]>) {
        self.values.push(ByteArray::from(value.as_ref().to_vec()));
    }

    fn push_optional(&mut self, value: Option<&str>) {
        self.level(value.is_some(), false);
        if let Some(value) = value {
            self.push(value);
        }
    }

    fn push_list(&mut self, values: &[&str]) {
        if values.is_empty() {
            self.level(false, false);
        }
        for (index, value) in values.iter().enumerate() {
            self.level(true, index > 0);
            self.push(value);
        }
    }

    fn level(&mut self, defined: bool, repeated: bool) {
        if let Some(definition) = &mut self.definition {
            definition.push(defined.into());
        }
        if let Some(repetition) = &mut self.repetition {
            repetition.push(repeated.into());
        }
    }

    /// Returns the text of a row. Every row of the column must have one.
    fn text(&self, row: usize) -> Result<&str> {
        self.values.get(row).ok_or_else(cut)?.as_utf8()
    }

    /// Returns an iterator over the rows of an optional column or of a list.
    fn rows(&self) -> Rows<'_> {
        let definition = self.definition.as_deref().unwrap_or_default();
        Rows { values: &self.values, definition, repetition: self.repetition.as_deref().unwrap_or_default() }
    }
}

/// The remaining rows of a column.
struct Rows<'a> {
    values: &'a [ByteArray],
    definition: &'a [i16],
    repetition: &'a [i16],
}

impl<'a> Rows<'a> {
    /// Returns the value of the next row.
    fn next_text(&mut self) -> Result<Option<&'a str>> {
        let (defined, rest) = self.definition.split_first().ok_or_else(cut)?;
        self.definition = rest;
        if *defined == 0 {
            return Ok(None);
        }
        let (value, rest) = self.values.split_first().ok_or_else(cut)?;
        self.values = rest;
        value.as_utf8().map(Some)
    }

    /// Returns the values of the next row.
    fn next_list(&mut self) -> Result<Vec<&'a str>> {
        let length = 1 + self.repetition.iter().skip(1).take_while(|repeated| **repeated == 1).count();
        self.repetition = self.repetition.get(length..).ok_or_else(cut)?;
        (0..length).filter_map(|_| self.next_text().transpose()).collect()
    }
}

fn cut() -> ParquetError {
    ParquetError::General("a column ends early".into())
}
