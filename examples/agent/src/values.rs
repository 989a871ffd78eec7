//! Values of flags and variables. A manifest may set a variable to nothing.

/// A value that is not blank.
pub(crate) fn given(value: Option<String>) -> Option<String> {
    value.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
}

/// The elements of a list, without those that are blank.
pub(crate) fn listed(elements: &[String]) -> impl Iterator<Item = &str> {
    elements.iter().map(|it| it.trim()).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_elements_are_no_elements() {
        let elements = ["", " a", "b ", " "].map(str::to_owned);
        assert!(listed(&elements).eq(["a", "b"]));
        assert_eq!(listed(&[String::new()]).count(), 0);
    }
}
