//! Turns a generic test into a case of one engine.

/// `add!(cases, S, Server, test)` adds the test for the subject `S`, named after its module.
macro_rules! add {
    ($cases:expr, $subject:ident, $needs:ident, $test:ident) => {
        $cases.push(::integration_tests::Case {
            engine: <$subject as $crate::subject::Subject>::ENGINE,
            // Without the name of the binary, which comes first.
            name: concat!(module_path!(), "::", stringify!($test)).trim_start_matches("it::"),
            needs: ::integration_tests::Needs::$needs,
            run: $test::<$subject>,
        })
    };
}
pub(crate) use add;
