//! What clients define before they write: index and component templates, lifecycle policies.
//!
//! Fields have the kinds that the house gives them, and days are kept as its configuration says: definitions change
//! nothing of that, and whoever makes one is told so. They are kept, because clients ask for what they have defined and do
//! not write without it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tollhouse_query::Pattern;

use crate::asked::{Asked, Names, warn};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::search::blocking;

/// Definitions of all sorts together.
const NUMBER_MAX: usize = 1_000;
/// Bytes of all of them.
const BYTES_MAX: usize = 16 << 20;
/// What is said when one is made.
const NO_EFFECT: &str =
    "kept, but without effect: fields have the types and days the lifetime that tollhouse gives them";

/// By sort, then by name.
type Kept = BTreeMap<String, BTreeMap<String, Value>>;

/// What was defined, in memory and in a file.
pub(crate) struct Definitions {
    file: PathBuf,
    kept: Mutex<Kept>,
}

/// A sort of definitions.
#[derive(Clone, Copy)]
pub(crate) enum Sort {
    IndexTemplate,
    ComponentTemplate,
    LegacyTemplate,
    Policy,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Self::IndexTemplate => "index_template",
            Self::ComponentTemplate => "component_template",
            Self::LegacyTemplate => "template",
            Self::Policy => "policy",
        }
    }

    /// What is said when there is none of a name.
    fn missing(self, name: &str) -> String {
        match self {
            Self::IndexTemplate => format!("index template matching [{name}] not found"),
            Self::ComponentTemplate => format!("component template matching [{name}] not found"),
            Self::LegacyTemplate => format!("index_template [{name}] missing"),
            Self::Policy => format!("Lifecycle policy not found: {name}"),
        }
    }

    /// How a list of them is answered.
    fn shown(self, found: Vec<(String, Value)>) -> Value {
        let listed = |list: &str, member: &str| {
            let items = found.iter().map(|(name, body)| json!({"name": name, member: body}));
            json!({ list: items.collect::<Vec<_>>() })
        };
        match self {
            Self::IndexTemplate => listed("index_templates", "index_template"),
            Self::ComponentTemplate => listed("component_templates", "component_template"),
            Self::LegacyTemplate => Value::Object(found.into_iter().collect()),
            Self::Policy => {
                let policy = |(name, body): (String, Value)| {
                    let described = json!({
                        "version": 1,
                        "modified_date": "1970-01-01T00:00:00.000Z",
                        "policy": body["policy"],
                        "in_use_by": {"indices": [], "data_streams": [], "composable_templates": []},
                    });
                    (name, described)
                };
                Value::Object(found.into_iter().map(policy).collect())
            }
        }
    }
}

impl Definitions {
    /// Reads the file; none is an empty one, and what cannot be read is an error: it would be written over.
    pub(crate) fn open(file: PathBuf) -> Result<Self, ElasticError> {
        let kept = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(std::io::Error::from),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
            Err(error) => Err(error),
        };
        let kept = kept.map_err(|source| ElasticError::Definitions { doing: "reading", path: file.clone(), source })?;
        Ok(Self { file, kept: Mutex::new(kept) })
    }

    /// Those of a sort whose name one of a list of names and patterns stands for; all without a list.
    pub(crate) fn find(&self, sort: Sort, names: Option<&str>) -> Vec<(String, Value)> {
        let patterns: Vec<Pattern> = names.unwrap_or("*").split(',').map(Pattern::new).collect();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let all = kept.get(sort.name()).into_iter().flatten();
        let fits = |name: &str| patterns.iter().any(|pattern| pattern.is_match(name));
        all.filter(|(name, _)| fits(name)).map(|(name, body)| (name.clone(), body.clone())).collect()
    }

    /// Changes what is kept, on the disk first. Blocks.
    fn change(&self, change: impl FnOnce(&mut Kept)) -> Result<(), ElasticError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = kept.clone();
        change(&mut changed);
        let bytes = serde_json::to_vec(&changed)?;
        if bytes.len() > BYTES_MAX || changed.values().map(BTreeMap::len).sum::<usize>() > NUMBER_MAX {
            return Err(ElasticError::Parameter(format!(
                "no more than {NUMBER_MAX} definitions and {BYTES_MAX} bytes of them are kept"
            )));
        }
        let failed = |source| ElasticError::Definitions { doing: "writing", path: self.file.clone(), source };
        tollhouse_files::replace(&self.file, &bytes, 0o640).map_err(failed)?;
        *kept = changed;
        Ok(())
    }
}

/// `GET|HEAD|PUT|POST|DELETE` of one sort, with a name or without.
pub(crate) async fn answer(elastic: Elastic, sort: Sort, names: Names, asked: Asked) -> Response {
    let is_made = matches!(asked.method, Method::PUT | Method::POST);
    let answered = async {
        asked.params.only(&[
            "create",
            "cause",
            "order",
            "master_timeout",
            "timeout",
            "flat_settings",
            "include_defaults",
            "include_type_name",
            "local",
        ])?;
        match asked.method {
            Method::GET | Method::HEAD => get(&elastic, sort, &names, &asked),
            Method::DELETE => delete(elastic, sort, names).await,
            _ => put(elastic, sort, names, asked.json()?).await,
        }
    };
    let mut response = asked.answer(answered.await);
    if is_made && response.status() == StatusCode::OK {
        warn(&mut response, NO_EFFECT);
    }
    response
}

fn get(elastic: &Elastic, sort: Sort, names: &Names, asked: &Asked) -> Result<Value, ElasticError> {
    let found = elastic.definitions.find(sort, names.name.as_deref());
    match &names.name {
        // The old form answers an empty object to whoever asks for its body.
        Some(name) if found.is_empty() && !name.contains('*') => match sort {
            Sort::LegacyTemplate if asked.method == Method::GET => Err(ElasticError::Empty),
            _ => Err(ElasticError::NotFound(sort.missing(name))),
        },
        _ => Ok(sort.shown(found)),
    }
}

async fn put(elastic: Elastic, sort: Sort, names: Names, body: Value) -> Result<Value, ElasticError> {
    if !body.is_object() {
        return Err(ElasticError::Validation("source is missing"));
    }
    let name = names.name().to_owned();
    let kept = move || {
        elastic.definitions.change(|kept| {
            kept.entry(sort.name().to_owned()).or_default().insert(name, body);
        })
    };
    blocking(kept).await?;
    Ok(json!({"acknowledged": true}))
}

async fn delete(elastic: Elastic, sort: Sort, names: Names) -> Result<Value, ElasticError> {
    let gone = elastic.definitions.find(sort, names.name.as_deref());
    if gone.is_empty() {
        return Err(ElasticError::NotFound(sort.missing(names.name())));
    }
    let removed = move || {
        elastic.definitions.change(|kept| {
            let of_sort = kept.entry(sort.name().to_owned()).or_default();
            for (name, _) in gone {
                of_sort.remove(&name);
            }
        })
    };
    blocking(removed).await?;
    Ok(json!({"acknowledged": true}))
}

macro_rules! handlers {
    ($($handler:ident: $sort:expr),+ $(,)?) => {$(
        pub(crate) async fn $handler(elastic: Elastic, names: Names, asked: Asked) -> Response {
            answer(elastic, $sort, names, asked).await
        }
    )+};
}
handlers! {
    index_templates: Sort::IndexTemplate,
    component_templates: Sort::ComponentTemplate,
    legacy_templates: Sort::LegacyTemplate,
    policies: Sort::Policy,
}
