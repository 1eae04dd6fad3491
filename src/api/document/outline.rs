//! What a document has of each operation that requests are held against.

use poem_openapi::OpenApi;
use poem_openapi::registry::{MetaOperation, MetaParamIn};
use serde_json::{Map, Value, json};

/// The document of an API with nothing in it but paths, methods, ids of operations and the names of parameters in
/// queries. Every start needs these; the whole document, which takes megabytes while it is built, few ever ask for.
pub(crate) fn outline<A: OpenApi>() -> Value {
    let mut paths = Map::new();
    for path in A::meta().into_iter().flat_map(|api| api.paths) {
        // Several groups of operations can share a path.
        let operations = paths.entry(path.path).or_insert_with(|| json!({}));
        for operation in path.operations {
            operations[operation.method.as_str().to_ascii_lowercase()] = outlined(&operation);
        }
    }
    json!({ "paths": paths })
}

fn outlined(operation: &MetaOperation) -> Value {
    let in_query = operation.params.iter().filter(|parameter| parameter.in_type == MetaParamIn::Query);
    let parameters: Vec<_> =
        in_query.map(|parameter| json!({ "in": "query", "name": parameter.name })).collect();
    json!({ "operationId": operation.operation_id, "parameters": parameters })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api;
    use crate::api::compat::DIALECTS;

    /// What an outline should have, out of the document.
    fn of(document: &Value) -> Value {
        let mut paths = document["paths"].clone();
        for operations in paths.as_object_mut().expect("paths").values_mut() {
            for operation in operations.as_object_mut().expect("operations").values_mut() {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
                let names: Vec<_> =
                    in_query.map(|parameter| json!({ "in": "query", "name": parameter["name"] })).collect();
                *operation = json!({ "operationId": operation["operationId"], "parameters": names });
            }
        }
        json!({ "paths": paths })
    }

    #[test]
    fn it_has_the_operations_of_the_document_and_what_their_queries_take() {
        let main = api::main_document().expect("the document");
        assert_eq!(outline::<api::MainApi>(), of(&main));
        assert!(of(&main).to_string().contains(r#""name":"limit""#));
        for dialect in DIALECTS {
            let document = dialect.document().expect("the document");
            assert_eq!((dialect.outline)(), of(&document), "{}", dialect.title);
        }
    }
}
