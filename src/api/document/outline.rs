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
