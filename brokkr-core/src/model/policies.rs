//! How agents treat a stack's objects.

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::model::ignore_rule::IgnoreRule;
use crate::model::limits;
use crate::model::name::is_dns_label;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name { $($(#[$vdoc])* $variant),* }
    };
}

choice! {
    /// What happens when another manager owns a field that the manifest sets.
    Conflicts {
        /// The object is left unwritten and reported.
        #[default]
        Fail,
        /// The field is taken over; never from another Brokkr agent.
        Force,
    }
}

choice! {
    /// What happens when an object exists already and is not ours.
    Adopt {
        /// It is left alone and reported.
        #[default]
        Never,
        /// It is taken over when nothing would change in it.
        IfEqual,
        /// It is taken over.
        Always,
    }
}

choice! {
    /// What happens when somebody changes what we manage.
    Drift {
        /// It is put right.
        #[default]
        Correct,
        /// It is reported only.
        Report,
    }
}

choice! {
    /// What removal means.
    Deletion {
        /// Objects are deleted.
        #[default]
        Delete,
        /// Objects stay; our ownership of them ends.
        Orphan,
    }
}

choice! {
    /// Whether a revision is tried on the server before it is written.
    Validate {
        /// By a server-side dry run of updates.
        #[default]
        Server,
        /// Not at all.
        None,
    }
}

/// Waiting for readiness after everything was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Wait {
    /// Seconds until the stack counts as stalled, 1 to 86,400.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 86_400))]
    pub timeout_seconds: u32,
}

/// How agents treat a stack's objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policies {
    /// Fields that another manager owns.
    pub conflicts: Conflicts,
    /// Objects that exist already.
    pub adopt: Adopt,
    /// Fields that were changed or objects that were deleted by others.
    pub drift: Drift,
    /// What removal means.
    pub deletion: Deletion,
    /// Dry run before writing.
    pub validate: Validate,
    /// Where namespaced objects without a namespace go.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::NamespaceName))]
    pub default_namespace: String,
    /// Waiting for readiness; absent means not to wait.
    pub wait: Option<Wait>,
    /// Whether an object may be replaced when an immutable field changes.
    pub replace_immutable: bool,
    /// Fields that are left to others once an object is there. All pointers together have at most 16,384 bytes.
    #[cfg_attr(feature = "openapi", schema(max_items = 32))]
    pub ignore: Vec<IgnoreRule>,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            conflicts: Conflicts::default(),
            adopt: Adopt::default(),
            drift: Drift::default(),
            deletion: Deletion::default(),
            validate: Validate::default(),
            default_namespace: "default".to_owned(),
            wait: None,
            replace_immutable: false,
            ignore: Vec::new(),
        }
    }
}

impl Policies {
    /// Checks what types cannot express.
    pub fn validate(&self) -> Result<(), Invalid> {
        if !is_dns_label(&self.default_namespace) {
            return Err(Invalid::new(
                InvalidCode::PolicyInvalid,
                format!("\"{}\" is not the name of a namespace", excerpt(&self.default_namespace)),
            )
            .within("default_namespace"));
        }
        if let Some(wait) = &self.wait
            && !(1..=86_400).contains(&wait.timeout_seconds)
        {
            return Err(Invalid::new(InvalidCode::PolicyInvalid, "must be between 1 and 86400")
                .within("timeout_seconds")
                .within("wait"));
        }
        if self.ignore.len() > limits::IGNORE_RULES {
            let problem = format!("must be at most {} rules", limits::IGNORE_RULES);
            return Err(Invalid::new(InvalidCode::PolicyInvalid, problem).within("ignore"));
        }
        let bytes: usize = self.ignore.iter().flat_map(|rule| &rule.pointers).map(String::len).sum();
        if bytes > limits::IGNORE_BYTES {
            let problem = format!("has pointers of more than {} bytes together", limits::IGNORE_BYTES);
            return Err(Invalid::new(InvalidCode::PolicyInvalid, problem).within("ignore"));
        }
        for (number, rule) in self.ignore.iter().enumerate() {
            rule.validate().map_err(|invalid| invalid.within(&number.to_string()).within("ignore"))?;
        }
        Ok(())
    }
}
