//! The declaration of settings.

/// Declares a section: a struct whose fields are settings, each with all that is known of it, or other sections.
///
/// ```text
/// settings! {
///     /// Sessions.
///     pub struct SessionSettings {
///         /// How many sessions an account may have (1 to 1000).
///         max_per_account: u32 = "sessions.max_per_account" {
///             kind: Number, parse: parse::number(1..=1_000), default: Always("100"), example: "20",
///         },
///     }
/// }
/// ```
///
/// The comment is the setting's meaning in the documentation as well. Of `default` it depends whether the field
/// is there in any case or an `Option`; see [`super::setting`]. `alias: "REDIS_URL",` in front of `kind` names a
/// variable that is known by this name elsewhere. `for SomeType { … }` instead of `pub struct` declares the
/// settings that a type of the domain is made of.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident : $ty:ty $(= $key:literal { $($record:tt)* })?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $ty, )*
        }

        settings! {
            for $name {
                $( $(#[doc = $doc])+ $field: $ty $(= $key { $($record)* })? ),*
            }
        }
    };

    (
        for $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident : $ty:ty $(= $key:literal { $($record:tt)* })?
            ),* $(,)?
        }
    ) => {
        impl $crate::config::engine::Section for $name {
            const NODES: &'static [$crate::config::engine::Node] = &[
                $( settings!(@node [$($doc)+] $ty $(, $key { $($record)* })?), )*
            ];

            fn read(read: &mut $crate::config::engine::Reader<'_>) -> Option<Self> {
                // All are read before one that is missing ends it, so that every mistake is found. No name of a field
                // is bound while parsers are named, which may be called alike.
                let fields: ($( Option<$ty>, )*) =
                    ($( settings!(@read read, [$($doc)+] $ty $(, $key { $($record)* })?), )*);
                let ($( $field, )*) = fields;
                Some(Self { $( $field: $field?, )* })
            }
        }
    };

    (@node [$($doc:literal)+] $ty:ty) => {
        $crate::config::engine::Node::Section(<$ty as $crate::config::engine::Section>::NODES)
    };
    (@node [$($doc:literal)+] $ty:ty, $key:literal { $($record:tt)* }) => {
        $crate::config::engine::Node::Setting(settings!(@setting [$($doc)+] $key { $($record)* }))
    };

    (@read $read:ident, [$($doc:literal)+] $ty:ty) => {
        <$ty as $crate::config::engine::Section>::read($read)
    };
    (@read $read:ident, [$($doc:literal)+] $ty:ty, $key:literal {
        $(alias: $alias:literal,)? kind: $kind:ident, parse: $parse:expr, default: $default:expr, example: $example:literal $(,)?
    }) => {
        $read.value(
            settings!(@setting [$($doc)+] $key {
                $(alias: $alias,)? kind: $kind, parse: (), default: $default, example: $example
            }),
            $parse,
            $default,
        )
    };

    (@setting [$($doc:literal)+] $key:literal {
        $(alias: $alias:literal,)? kind: $kind:ident, parse: $parse:expr, default: $default:expr, example: $example:literal $(,)?
    }) => {
        const {
            &$crate::config::engine::Setting {
                key: $key,
                alias: settings!(@alias $($alias)?),
                kind: $crate::config::engine::Kind::$kind,
                default: $default.documented(),
                example: $example,
                doc: concat!($($doc),+).trim_ascii(),
            }
        }
    };

    (@alias) => { None };
    (@alias $alias:literal) => { Some($alias) };
}

pub(crate) use settings;
