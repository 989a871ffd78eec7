//! The schema of manifests. They are read and checked as values; only the document describes them.

use std::borrow::Cow;

use brokkr_core::model::schema::NamespaceName;
use serde_json::{Value, json};
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, Object, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// What may stand in `manifests`: an object, or a list of objects.
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

/// A group and a version, both of DNS labels.
fn api_version() -> ObjectBuilder {
    let label = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
    let pattern = format!("^({label}(\\.{label})*/)?{label}$");
    text("Group and version, or the version alone for the core group.", &pattern, 253 + 1 + 63)
        .examples(["v1", "apps/v1"])
}

fn manifest() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "A Kubernetes object. It is stored as it is, without what only a cluster writes (`status`, `metadata.uid` and such), which \
             a warning names. Texts have no NUL, and numbers lose no digits.",
        ))
        .property("apiVersion", api_version())
        .required("apiVersion")
        .property("kind", text("The kind.", "^[A-Za-z][A-Za-z0-9]*$", 63).examples(["ConfigMap"]))
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
        .description(Some(
            "The identity of a Kubernetes object, its labels and annotations, and what else the API server takes.",
        ))
        .property(
            "name",
            text("The name.", r"^(?!\.{1,2}$)[!-~]*[!-~]$".replace("[!-~]", NAME).as_str(), 253).examples(["greeting"]),
        )
        .required("name")
        .property("namespace", {
            text(
                "The namespace; without it a namespaced object goes to the stack's `default_namespace`.",
                "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$",
                63,
            )
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .examples(["default"])
        })
        .property("labels", texts("Labels."))
        .property("annotations", texts("Annotations."))
        .property("generateName", nothing("Not allowed: an object here has a name of its own."))
        .property("ownerReferences", nothing("Not allowed: an object here has no owner."))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}

/// Visible characters of ASCII that may stand in a path: all but `#`, `%`, `/`, `?` and `\`.
const NAME: &str = r##"[!"$&-.0->@-[\]-~]"##;

fn list() -> Object {
    list_of(
        "A list of Kubernetes objects, which is unfolded.",
        text("The kind of a list of any objects.", "^List$", 4).examples(["List"]),
        "Manifest",
    )
}

/// Whatever has `items` is a list. Its items need not name what its own kind says.
fn typed_list() -> Object {
    list_of(
        "A list of Kubernetes objects of one kind, which is unfolded.",
        text("The kind of the objects, with or without `List`.", "^(?!List$)[A-Za-z][A-Za-z0-9]*$", 63)
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
                .description(Some("The objects."))
                .items(Ref::from_schema_name(item))
                .min_items(Some(1))
                .max_items(Some(5_000)),
        )
        .required("items")
        .build()
}

/// An object in a list of a kind: it names its own kind, or has that of the list.
fn typed_item() -> Schema {
    let either = AnyOfBuilder::new()
        .description(Some("A Kubernetes object in a list of its kind."))
        .item(Ref::from_schema_name("Manifest"))
        .item(Ref::from_schema_name("UntypedManifest"));
    Schema::AnyOf(either.build())
}

fn untyped() -> Object {
    let listed = |what: &str| {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Null, Type::String]))
            .max_length(Some(0))
            .description(Some(format!("The list says {what}.")))
    };
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("A Kubernetes object whose kind and version are those of its list."))
        .property("apiVersion", listed("the version"))
        .property("kind", listed("the kind"))
        .property("metadata", Ref::from_schema_name("ManifestMetadata"))
        .required("metadata")
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}
