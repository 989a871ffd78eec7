//! The OpenAPI document.

use std::collections::BTreeMap;

use brokkr_core::model::limits;
use brokkr_http::api::ProblemType;
use serde_json::{Value, json};

use crate::support::Api;

/// Every change of the API appears as a difference in the committed document.
#[tokio::test]
async fn served_document_equals_the_committed_one() {
    let text = brokkr_http::server::document().to_pretty_json().unwrap();
    insta::with_settings!({ snapshot_path => "../openapi", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("brokkr-v1", text);
    });
    let api = Api::new().await;
    let served = api.call("none", "GET", "/api/v1/openapi.json", &[], axum::body::Body::empty()).await;
    assert_eq!(served.status, 200);
    assert_eq!(served.json(), serde_json::from_str::<serde_json::Value>(&text).unwrap());
    assert_eq!(served.json()["openapi"], "3.1.0");
}

fn document() -> Value {
    serde_json::to_value(brokkr_http::server::document()).unwrap()
}

/// The operations, each with its id.
fn operations(document: &Value) -> BTreeMap<String, Value> {
    let items = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let named =
        items.filter_map(|operation| Some((operation.get("operationId")?.as_str()?.to_owned(), operation.clone())));
    named.collect()
}

#[test]
fn every_problem_type_is_in_the_enum_and_documented() {
    let document = document();
    let schema = &document["components"]["schemas"]["ProblemType"];
    let uris: Vec<String> = ProblemType::ALL.iter().map(|it| it.uri()).collect();
    assert_eq!(schema["enum"], json!(uris));
    assert_eq!(
        document["components"]["schemas"]["Problem"]["properties"]["type"]["$ref"],
        "#/components/schemas/ProblemType"
    );
    let text = schema["description"].as_str().unwrap();
    for it in ProblemType::ALL {
        let entry = format!("- `{}` ({}, {}): {}", it.uri(), it.status(), it.title(), it.remedy());
        assert!(text.lines().any(|line| line == entry), "{entry}");
    }
}

#[test]
fn every_link_names_an_operation_and_its_parameters() {
    let document = document();
    let operations = operations(&document);
    let mut count = 0;
    for (id, operation) in &operations {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for link in response.get("links").and_then(Value::as_object).into_iter().flat_map(|it| it.values()) {
                let target = &operations[link["operationId"].as_str().unwrap()];
                let names: Vec<&str> =
                    target["parameters"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
                for name in link["parameters"].as_object().unwrap().keys() {
                    assert!(names.contains(&name.as_str()), "{id} {status}: {link}");
                }
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn every_request_text_has_a_pattern_or_length() {
    let document = document();
    let bounded = |schema: &Value| {
        ["$ref", "pattern", "enum", "format", "oneOf", "anyOf", "const"].iter().any(|key| schema.get(*key).is_some())
    };
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas.iter().filter(|(_, it)| it["additionalProperties"] == json!(false)) {
        for (field, schema) in schema["properties"].as_object().unwrap() {
            let schema = if schema["type"] == "array" { &schema["items"] } else { schema };
            let is_text = schema["type"] == "string" || schema["type"] == json!(["string", "null"]);
            assert!(!is_text || bounded(schema), "{name}.{field}: {schema}");
        }
    }
    for (id, operation) in operations(&document) {
        for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            // An invalid ETag matches no version, so its text is free.
            let kind = &parameter["schema"]["type"];
            let is_free = parameter["name"] == "If-None-Match" || kind == "integer" || kind == "boolean";
            assert!(is_free || bounded(&parameter["schema"]), "{id}: {parameter}");
        }
    }
}

#[test]
fn document_limits_equal_the_limits_table() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for (pointer, limit) in [
        ("/CreateAgent/properties/generator_ids/maxItems", limits::REGISTRATIONS),
        ("/CreateStack/properties/depends_on/maxItems", limits::DEPENDENCIES),
        ("/Labels/maxProperties", limits::LABELS),
        ("/Annotations/maxProperties", limits::LABELS),
        ("/Policies/properties/ignore/maxItems", limits::IGNORE_RULES),
        ("/IgnoreRule/properties/pointers/maxItems", limits::IGNORE_RULES),
        ("/FieldPointer/maxLength", limits::POINTER_CHARACTERS),
        ("/TargetingRule/properties/match_expressions/maxItems", limits::SELECTOR_TERMS),
        ("/Exclusion/properties/match_expressions/maxItems", limits::SELECTOR_TERMS),
        ("/ValueRequirement/properties/values/maxItems", limits::SELECTOR_TERMS),
        ("/PublishManifests/properties/manifests/maxItems", limits::OBJECTS),
        ("/Description/maxLength", limits::DESCRIPTION_CHARACTERS),
        ("/Message/maxLength", limits::MESSAGE_CHARACTERS),
        ("/ShortText/maxLength", limits::SHORT_TEXT_CHARACTERS),
        ("/RotatePak/properties/overlap_seconds/maximum", limits::ROTATION_OVERLAP_SECONDS as usize),
        ("/Report/properties/held/maxItems", limits::HELD_STACKS),
        ("/Report/properties/events/maxItems", limits::REPORT_ENTRIES),
        ("/Report/properties/status/maxItems", limits::REPORT_ENTRIES),
        ("/Report/properties/capabilities/maxItems", limits::CAPABILITIES),
        ("/EventReport/properties/objects/maxItems", limits::EVENT_OBJECTS),
        ("/EventReport/properties/retained/maxItems", limits::EVENT_OBJECTS),
        ("/StatusReport/properties/conditions/maxItems", limits::CONDITIONS),
    ] {
        assert_eq!(schemas.pointer(pointer), Some(&json!(limit)), "{pointer}");
    }
}
