//! The schemas of manifests. They exist only in the OpenAPI document: the broker parses and validates manifests as JSON
//! values.

use std::borrow::Cow;

use brokkr_core::model::schema::NamespaceName;
use serde_json::{Value, json};
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, Object, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// An element of `manifests`: a Kubernetes object or a List.
#[derive(Debug, Clone, Copy)]
pub enum ManifestOrList {}

impl PartialSchema for ManifestOrList {
    fn schema() -> RefOr<Schema> {
        let either = AnyOfBuilder::new()
            .description(Some("A Kubernetes object, or a List of them."))
            .item(Ref::from_schema_name("Manifest"))
            .item(Ref::from_schema_name("ManifestList"))
            .item(Ref::from_schema_name("TypedManifestList"));
        RefOr::T(Schema::AnyOf(either.build()))
    }
}

impl ToSchema for ManifestOrList {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ManifestOrList")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let all = [
            ("Manifest", manifest()),
            ("ManifestMetadata", metadata()),
            ("ManifestList", list()),
            ("TypedManifestList", typed_list()),
            ("UntypedManifest", untyped()),
        ];
        schemas.extend(all.map(|(name, schema)| (name.to_owned(), RefOr::T(Schema::Object(schema)))));
        schemas.push(("TypedManifestListItem".to_owned(), RefOr::T(typed_item())));
        schemas.push((NamespaceName::name().into_owned(), NamespaceName::schema()));
    }
}

fn text(description: &str, pattern: &str, max: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
        .max_length((max < usize::MAX).then_some(max))
}

/// A group and a version, both consisting of DNS labels.
fn api_version() -> ObjectBuilder {
    let label = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
    let pattern = format!("^({label}(\\.{label})*/)?{label}$");
    text("`<group>/<version>`, or `<version>` for the core group.", &pattern, 253 + 1 + 63).examples(["v1", "apps/v1"])
}

fn manifest() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "A Kubernetes object. The broker stores it unchanged, except that it drops fields that only a cluster sets (such as \
             `status` and `metadata.uid`) and adds a warning. Strings must not contain NUL; numbers keep all digits.",
        ))
        .property("apiVersion", api_version())
        .required("apiVersion")
        .property("kind", text("The object's kind.", "^[A-Za-z][A-Za-z0-9]*$", 63).examples(["ConfigMap"]))
        .required("kind")
        .property("metadata", Ref::from_schema_name("ManifestMetadata"))
        .required("metadata")
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .examples([json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "greeting"}, "data": {"text": "hello"}})])
        .build()
}

fn texts(description: &str) -> ObjectBuilder {
    let value = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .pattern(Some(r"^[^\u0000]*$"));
    let key = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^[^\u0000]*$"));
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some(description))
        .property_names(Some(Schema::Object(key.build())))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::Object(value.build())))))
}

fn metadata() -> Object {
    let nothing = |description: &str| {
        ObjectBuilder::new().schema_type(Type::Null).description(Some(description)).default(Some(Value::Null))
    };
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Metadata of a Kubernetes object. Fields that are not listed here pass through unchanged."))
        .property(
            "name",
            text("The object's name.", r"^(?!\.{1,2}$)[!-~]*[!-~]$".replace("[!-~]", NAME).as_str(), 253)
                .examples(["greeting"]),
        )
        .required("name")
        .property("namespace", {
            text(
                "The namespace. Default for namespaced kinds: the stack's `default_namespace`, or else the name of its generator.",
                "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$",
                63,
            )
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .examples(["default"])
        })
        .property("labels", texts("Labels; null counts as absent."))
        .property("annotations", texts("Annotations; null counts as absent."))
        .property("generateName", nothing("Not allowed: set `name` instead."))
        .property("ownerReferences", nothing("Not allowed: the agent manages the object's lifecycle."))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}

/// Visible ASCII characters that are safe in a URL path: all except `#`, `%`, `/`, `?` and `\`.
const NAME: &str = r##"[!"$&-.0->@-[\]-~]"##;

fn list() -> Object {
    list_of(
        "A list of Kubernetes objects. The broker stores the items, not the list.",
        text("Always `List`.", "^List$", 4).examples(["List"]),
        "Manifest",
    )
}

/// The broker treats every document with `items` as a list. The items inherit the list's kind and version.
fn typed_list() -> Object {
    list_of(
        "A list of Kubernetes objects of one kind. The broker stores the items, not the list.",
        text("The kind of the items, with or without the suffix `List`.", "^(?!List$)[A-Za-z][A-Za-z0-9]*$", 63)
            .examples(["ConfigMapList"]),
        "TypedManifestListItem",
    )
}

fn list_of(description: &str, kind: ObjectBuilder, item: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .property("apiVersion", api_version())
        .required("apiVersion")
        .property("kind", kind)
        .required("kind")
        .property(
            "items",
            ArrayBuilder::new()
                .description(Some("The items."))
                .items(Ref::from_schema_name(item))
                .min_items(Some(1))
                .max_items(Some(5_000)),
        )
        .required("items")
        .build()
}

/// An item of a typed list: it names its own kind or inherits the list's kind.
fn typed_item() -> Schema {
    let either = AnyOfBuilder::new()
        .description(Some("An item of a list of one kind."))
        .item(Ref::from_schema_name("Manifest"))
        .item(Ref::from_schema_name("UntypedManifest"));
    Schema::AnyOf(either.build())
}

fn untyped() -> Object {
    let listed = |what: &str| {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Null, Type::String]))
            .max_length(Some(0))
            .description(Some(format!("Empty or absent: inherited from the list's {what}.")))
    };
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("A Kubernetes object that inherits its kind and version from its list."))
        .property("apiVersion", listed("`apiVersion`"))
        .property("kind", listed("`kind`"))
        .property("metadata", Ref::from_schema_name("ManifestMetadata"))
        .required("metadata")
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}
