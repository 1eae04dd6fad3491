use super::*;
use crate::domain::clock::ManualClock;

const NOW: Timestamp = Timestamp::from_millis(2_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

struct Clocks {
    own: Arc<ManualClock>,
    store: ManualClock,
    database: Option<ManualClock>,
    keeper: Timekeeper,
}

impl Clocks {
    fn new(clocks: u8) -> Self {
        let own = Arc::new(ManualClock::at(NOW));
        let database = (clocks == 3).then(|| ManualClock::at(NOW));
        let keeper = Timekeeper::new(own.clone(), SECOND * 5);
        let clocks = Self { own, store: ManualClock::at(NOW), database, keeper };
        clocks.compare();
        clocks
    }

    fn compare(&self) {
        let asked_at = self.own.monotonic();
        self.keeper.observe_token_store(self.keeper.reading(asked_at, self.store.now()));
        if let Some(database) = &self.database {
            self.keeper.observe_database(self.keeper.reading(asked_at, database.now()));
        }
    }

    fn pass(&self, span: Duration) {
        self.own.advance(span);
        self.store.advance(span);
        self.database.iter().for_each(|clock| clock.advance(span));
    }
}

#[test]
fn clocks_that_agree_within_the_tolerance_are_nobodys_fault() {
    for clocks in [2, 3] {
        let clocks = Clocks::new(clocks);
        clocks.own.set(NOW.after(SECOND * 5));
        clocks.compare();
        assert_eq!((clocks.keeper.odd(), clocks.keeper.may_mint()), (Odd::default(), Ok(())));
        assert_eq!(clocks.keeper.now(), NOW.after(SECOND * 5));
    }
}

#[test]
fn of_two_clocks_the_stores_counts() {
    let clocks = Clocks::new(2);
    for (set_to, ahead) in [(NOW.after(HOUR), 3_600_000), (NOW.before(HOUR), -3_600_000)] {
        clocks.own.set(set_to);
        clocks.compare();
        assert_eq!(clocks.keeper.may_mint(), Err(ClockSkew(ahead)));
        clocks.pass(SECOND);
        assert_eq!(clocks.keeper.now(), clocks.store.now(), "it goes by the store's time");
        clocks.own.set(clocks.store.now());
        clocks.compare();
        assert_eq!(clocks.keeper.may_mint(), Ok(()));
        clocks.own.set(NOW);
        clocks.store.set(NOW);
    }
}

#[test]
fn of_three_clocks_the_majority_counts() {
    let clocks = Clocks::new(3);
    clocks.store.set(NOW.after(HOUR));
    clocks.compare();
    assert_eq!(clocks.keeper.odd(), Odd { token_store: Some(3_600_000), ..Odd::default() });
    assert_eq!((clocks.keeper.may_mint(), clocks.keeper.now()), (Ok(()), NOW));

    clocks.own.set(NOW.after(HOUR));
    clocks.compare();
    assert_eq!(clocks.keeper.odd(), Odd { database: Some(-3_600_000), ..Odd::default() });

    clocks.store.set(NOW);
    clocks.compare();
    assert_eq!(clocks.keeper.odd(), Odd { own: Some(3_600_000), ..Odd::default() });
    assert_eq!(clocks.keeper.now(), NOW);
}

#[test]
fn where_all_differ_the_stores_counts() {
    let clocks = Clocks::new(3);
    clocks.own.set(NOW.after(HOUR));
    clocks.database.as_ref().expect("three clocks").set(NOW.before(HOUR));
    clocks.compare();
    let odd = Odd { own: Some(3_600_000), token_store: None, database: Some(-3_600_000) };
    assert_eq!((clocks.keeper.odd(), clocks.keeper.now()), (odd, NOW));
}

/// Between two comparisons.
#[test]
fn a_clock_that_is_set_is_odd_at_once_and_not_gone_by() {
    let clocks = Clocks::new(2);
    clocks.pass(SECOND);
    clocks.own.set(NOW.after(HOUR));
    assert_eq!(clocks.keeper.may_mint(), Err(ClockSkew(3_599_000)));
    assert_eq!(clocks.keeper.now(), NOW.after(SECOND));
}

#[test]
fn before_anything_was_compared_it_goes_by_its_own_clock() {
    let keeper = Timekeeper::new(Arc::new(ManualClock::at(NOW)), SECOND);
    assert_eq!((keeper.now(), keeper.store_time(), keeper.may_mint()), (NOW, NOW, Ok(())));
    assert!(keeper.is_plausible(NOW.after(HOUR)) && !keeper.has_store_jumped());
}

#[test]
fn a_store_that_jumps_ahead_is_remembered_until_it_is_observed() {
    let clocks = Clocks::new(2);
    clocks.pass(HOUR);
    assert!(clocks.keeper.is_plausible(clocks.store.now().after(SECOND * 5)));
    assert!(!clocks.keeper.is_plausible(clocks.store.now().after(SECOND * 6)));
    assert!(clocks.keeper.has_store_jumped());
    assert!(clocks.keeper.is_plausible(clocks.store.now()), "it was put back");
    assert!(clocks.keeper.has_store_jumped(), "what it forgot meanwhile is still to be made good");
    clocks.compare();
    assert!(!clocks.keeper.has_store_jumped());
}

/// A slow answer tells less.
#[test]
fn an_answer_that_took_long_makes_nobody_odd() {
    let clocks = Clocks::new(2);
    let asked_at = clocks.own.monotonic();
    let shown = clocks.store.now();
    clocks.pass(SECOND * 9);
    clocks.keeper.observe_token_store(clocks.keeper.reading(asked_at, shown));
    assert_eq!(clocks.keeper.may_mint(), Ok(()));
}
