//! Which class of retention a row belongs to.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt16Type};
use arrow_array::{Array, DictionaryArray, ListArray, PrimitiveArray, RecordBatch, StringArray};
use heads::rules::filter::Filter;
use serde::Deserialize;

use super::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    calls: serde_json::Value,
    #[serde(default)]
    marks: Vec<String>,
    #[serde(default)]
    grpc_errors: bool,
}

struct Class {
    calls: Option<Filter>,
    marks: Vec<String>,
    grpc_errors: bool,
}

/// Classes in the order in which they are tried; the last one, which takes what no other did, has no rules.
pub(crate) struct Classes(Vec<Class>);

/// The columns that rules look at.
struct Columns<'a> {
    host: &'a StringArray,
    path: &'a StringArray,
    status: &'a PrimitiveArray<UInt16Type>,
    grpc_status: &'a PrimitiveArray<UInt16Type>,
    port: &'a PrimitiveArray<UInt16Type>,
    executable: &'a DictionaryArray<Int32Type>,
    quality: &'a ListArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Columns<'a>> {
        let column = |name| batch.column_by_name(name);
        Some(Columns {
            host: column("authority")?.as_string_opt()?,
            path: column("path")?.as_string_opt()?,
            status: column("status")?.as_primitive_opt()?,
            grpc_status: column("grpc_status")?.as_primitive_opt()?,
            port: column("server_port")?.as_primitive_opt()?,
            executable: column("process_executable")?.as_dictionary_opt()?,
            quality: column("quality")?.as_list_opt()?,
        })
    }

    fn is_marked(&self, row: usize, marks: &[String]) -> bool {
        let words = self.quality.value(row);
        let Some(words) =
            words.as_dictionary_opt::<Int32Type>().and_then(DictionaryArray::downcast_dict::<StringArray>)
        else {
            return false;
        };
        words.into_iter().flatten().any(|mark| marks.iter().any(|wanted| wanted == mark))
    }

    fn keeps(&self, row: usize, calls: &Filter) -> bool {
        fn text(column: &StringArray, row: usize) -> Option<&[u8]> {
            column.is_valid(row).then(|| column.value(row).as_bytes())
        }
        let executable = self.executable.key(row).and_then(|key| {
            let words = self.executable.values().as_string_opt::<i32>()?;
            (key < words.len()).then(|| words.value(key))
        });
        let status = self.status.is_valid(row).then(|| self.status.value(row));
        calls.keeps_status(status)
            && (!calls.reads_target() || calls.keeps_target(text(self.host, row), text(self.path, row)))
            && calls.keeps_connection(self.port.value(row), None, executable)
    }
}

impl Classes {
    /// Reads the classes: a list of `{"calls": {...}, "marks": [...], "grpc_errors": ...}`, with the keys of `[filter]`.
    /// A row belongs to a class that its calls keep, that names one of its marks, or that wants gRPC calls with a status
    /// other than `OK`; without calls, by the others alone.
    pub(crate) fn from_json(text: &str) -> std::result::Result<Classes, String> {
        let documents: Vec<Document> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut classes = Vec::new();
        for document in documents {
            let calls = match document.calls {
                serde_json::Value::Null => None,
                calls => Some(Filter::from_json(&calls.to_string())?),
            };
            classes.push(Class { calls, marks: document.marks, grpc_errors: document.grpc_errors });
        }
        classes.push(Class { calls: None, marks: Vec::new(), grpc_errors: false });
        Ok(Classes(classes))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The class of each row.
    pub(crate) fn of(&self, batch: &RecordBatch) -> Result<Vec<usize>> {
        let last = self.0.len() - 1;
        if last == 0 {
            return Ok(vec![0; batch.num_rows()]);
        }
        let columns =
            Columns::of(batch).ok_or_else(|| Error::Form("rows without the columns of classes".to_owned()))?;
        let class = |row: usize| {
            let marked = columns.quality.value_length(row) > 0;
            let grpc_failed = columns.grpc_status.is_valid(row) && columns.grpc_status.value(row) > 0;
            let fits = |class: &Class| {
                class.calls.as_ref().is_some_and(|calls| columns.keeps(row, calls))
                    || (grpc_failed && class.grpc_errors)
                    || (marked && columns.is_marked(row, &class.marks))
            };
            self.0.iter().position(fits).unwrap_or(last)
        };
        Ok((0..batch.num_rows()).map(class).collect())
    }
}
