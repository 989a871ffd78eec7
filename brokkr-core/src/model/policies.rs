//! Policies of a stack.

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::model::GeneratorId;
use crate::model::ignore_rule::IgnoreRule;
use crate::model::limits;
use crate::model::name::is_dns_label;

/// The default namespace of stacks of the system generator.
const SYSTEM_NAMESPACE: &str = "default";

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name { $($(#[$vdoc])* $variant),* }
    };
}

choice! {
    /// What the agent does if another field manager owns a field that the manifest sets.
    Conflicts {
        /// Does not write the object and reports the conflict. The default.
        #[default]
        Fail,
        /// Takes over the field, except from another Brokkr agent.
        Force,
    }
}

choice! {
    /// What the agent does if an object exists that it did not create.
    Adopt {
        /// Leaves the object unchanged and reports it. The default.
        #[default]
        Never,
        /// Takes over the object if applying the manifest changes nothing in it.
        IfEqual,
        /// Takes over the object.
        Always,
    }
}

choice! {
    /// What the agent does if the objects in the cluster differ from what it applied.
    Drift {
        /// Restores the applied state. The default.
        #[default]
        Correct,
        /// Only reports the difference.
        Report,
    }
}

choice! {
    /// What the agent does with the objects of a removed stack, and with pruned objects.
    Deletion {
        /// Deletes the objects. The default.
        #[default]
        Delete,
        /// Leaves the objects in the cluster and no longer manages them.
        Orphan,
    }
}

choice! {
    /// How the agent validates a revision before it writes.
    Validate {
        /// Performs a server-side dry run of updates. The default.
        #[default]
        Server,
        /// Does not validate.
        None,
    }
}

/// Waiting for readiness after the agent applied all objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Wait {
    /// Seconds after which a stack that is not ready counts as stalled, 1 to 86,400.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 86_400))]
    pub timeout_seconds: u32,
}

/// How agents treat a stack's objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policies {
    /// What to do with fields that another manager owns. Default: `fail`.
    pub conflicts: Conflicts,
    /// What to do with existing objects that the agent did not create. Default: `never`.
    pub adopt: Adopt,
    /// What to do with fields changed and objects deleted by others. Default: `correct`.
    pub drift: Drift,
    /// What to do with objects on removal. Default: `delete`.
    pub deletion: Deletion,
    /// Whether to validate on the API server before writing. Default: `server`.
    pub validate: Validate,
    /// The namespace for namespaced objects whose manifest has none. Absent, the default: the name of the stack's generator, or
    /// `default` for the system generator.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::schema::NamespaceName>))]
    pub default_namespace: Option<String>,
    /// Waiting for readiness. Absent, the default: stacks that depend on this one do not wait for it to be ready.
    pub wait: Option<Wait>,
    /// Whether the agent may delete and recreate an object whose immutable field changes. Default: false.
    pub replace_immutable: bool,
    /// Fields that the agent does not manage after it created an object. At most 32 rules; all pointers together have
    /// at most 16,384 bytes.
    #[cfg_attr(feature = "openapi", schema(max_items = 32))]
    pub ignore: Vec<IgnoreRule>,
}

impl Policies {
    /// The namespace of objects whose manifest has none: [`default_namespace`](Self::default_namespace), or else the name of
    /// the stack's generator, or `default` for the system generator.
    ///
    /// It does not depend on the grant: another grant must not move objects to another namespace.
    pub fn namespace_for<'a>(&'a self, generator: GeneratorId, name: &'a str) -> &'a str {
        match &self.default_namespace {
            Some(namespace) => namespace,
            None if generator == GeneratorId::SYSTEM => SYSTEM_NAMESPACE,
            None => name,
        }
    }

    /// Checks the namespace, the ranges and the ignore rules.
    ///
    /// # Errors
    ///
    /// [`PolicyInvalid`](InvalidCode::PolicyInvalid), with a pointer to the field.
    pub fn validate(&self) -> Result<(), Invalid> {
        if let Some(namespace) = self.default_namespace.as_ref().filter(|it| !is_dns_label(it)) {
            return Err(Invalid::new(
                InvalidCode::PolicyInvalid,
                format!("\"{}\" is not a valid namespace name: expected a DNS label (RFC 1123)", excerpt(namespace)),
            )
            .within("default_namespace"));
        }
        if let Some(wait) = &self.wait
            && !(1..=86_400).contains(&wait.timeout_seconds)
        {
            return Err(Invalid::new(InvalidCode::PolicyInvalid, "must be 1 to 86400 seconds")
                .within("timeout_seconds")
                .within("wait"));
        }
        if self.ignore.len() > limits::IGNORE_RULES {
            let problem = format!("at most {} rules are allowed", limits::IGNORE_RULES);
            return Err(Invalid::new(InvalidCode::PolicyInvalid, problem).within("ignore"));
        }
        let bytes: usize = self.ignore.iter().flat_map(|rule| &rule.pointers).map(String::len).sum();
        if bytes > limits::IGNORE_BYTES {
            let problem = format!("all pointers together may have at most {} bytes", limits::IGNORE_BYTES);
            return Err(Invalid::new(InvalidCode::PolicyInvalid, problem).within("ignore"));
        }
        for (number, rule) in self.ignore.iter().enumerate() {
            rule.validate().map_err(|invalid| invalid.within(&number.to_string()).within("ignore"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_namespace_is_that_of_the_generator() {
        let named = Policies { default_namespace: Some("web".to_owned()), ..Policies::default() };
        let generator = GeneratorId::generate();
        for (policies, generator, expected) in [
            (Policies::default(), generator, "shop"),
            (Policies::default(), GeneratorId::SYSTEM, "default"),
            (named.clone(), generator, "web"),
            (named, GeneratorId::SYSTEM, "web"),
        ] {
            assert_eq!(policies.namespace_for(generator, "shop"), expected, "{policies:?}");
        }
    }
}
