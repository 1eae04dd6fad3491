//! The contract of [`RateLimitStore`], as cases that know no backend; see `token_store`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::rate_limit::{AccountMark, Bucket, BucketId, Fill, Level, PlaceMark, Rate};
use hallpass::store::RateLimitStore;
use hallpass::store::rate_limits::{PLACE_MEMORY_DAYS, PLACES_MAX};

use crate::token_store::support::{DAY, MILLISECOND, SECOND, START, fresh_session_id, race};

/// The store under test, to be shared among tasks.
pub type SharedLimits = Arc<dyn RateLimitStore>;

/// As the macro of the same name in `token_store`.
macro_rules! contract {
    ($open:path) => {
        $crate::rate_limits::contract! {
            @cases $open;
            a_bucket_admits_its_burst_and_not_one_more
            a_place_in_a_bucket_is_free_again_to_the_millisecond
            a_hundred_takes_at_once_admit_exactly_the_burst
            a_hundred_takes_and_givings_back_at_once_lose_nothing
            what_is_given_back_can_be_taken_again
            no_more_than_the_burst_can_be_given_back
            a_bucket_is_as_new_after_its_period
            buckets_do_not_touch_each_other
            a_bucket_leaks_on_from_when_the_clock_was_put_back
            any_sequence_ends_as_that_of_the_model
            a_place_is_known_for_its_time_to_the_millisecond
            a_place_that_is_met_again_is_known_for_longer
            a_place_is_known_to_its_account_alone
            of_many_places_the_newest_are_remembered
        }
    };
    (@cases $open:path; $($case:ident)+) => {$(
        #[test]
        fn $case() {
            $crate::rate_limits::run($open, $crate::rate_limits::$case);
        }
    )+};
}
pub(crate) use contract;

/// Makes a store, runs one case against it on two threads, and tidies up.
pub fn run<Opening, Guard>(
    open: impl FnOnce(Arc<ManualClock>) -> Opening,
    case: impl AsyncFnOnce(&SharedLimits, &ManualClock),
) where
    Opening: Future<Output = (SharedLimits, Guard)>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let clock = Arc::new(ManualClock::at(START));
        let (store, _guard) = open(Arc::clone(&clock)).await;
        case(&store, &clock).await;
    });
}

/// 16 bytes that no other case uses.
fn fresh_mark() -> [u8; 16] {
    *fresh_session_id().as_uuid().as_bytes()
}

/// A bucket of its own: so many in so many seconds.
pub fn fresh_bucket(burst: u32, seconds: u64) -> Bucket {
    let rate = Rate::new(burst, Duration::from_secs(seconds)).expect("a rate");
    Bucket { id: BucketId::new(fresh_mark()), rate }
}

/// An account of its own.
pub fn fresh_account() -> AccountMark {
    AccountMark::new(fresh_mark())
}

/// A place of its own.
pub fn fresh_place() -> PlaceMark {
    PlaceMark::new(fresh_mark())
}

async fn take(store: &SharedLimits, bucket: &Bucket) -> bool {
    store.take(bucket).await.expect("take").admitted
}

async fn give_back(store: &SharedLimits, bucket: &Bucket) -> u32 {
    store.give_back(bucket).await.expect("give_back").remaining
}

async fn exhaust(store: &SharedLimits, _: &ManualClock, bucket: &Bucket) {
    for _ in 0..bucket.rate.burst() {
        assert!(take(store, bucket).await);
    }
}

pub async fn a_bucket_admits_its_burst_and_not_one_more(store: &SharedLimits, _: &ManualClock) {
    for (burst, seconds) in [(1, 1), (7, 1), (60, 900)] {
        let bucket = fresh_bucket(burst, seconds);
        for left in (0..burst).rev() {
            let taken = store.take(&bucket).await.expect("take");
            assert!(taken.admitted);
            assert_eq!(taken.level.remaining, left);
        }
        let wait = Duration::from_millis((seconds * 1000).div_ceil(u64::from(burst)));
        for _ in 0..3 {
            let refused = store.take(&bucket).await.expect("take");
            assert!(!refused.admitted);
            assert_eq!(refused.level, Level { remaining: 0, more_in: wait });
        }
    }
}

pub async fn a_place_in_a_bucket_is_free_again_to_the_millisecond(store: &SharedLimits, clock: &ManualClock) {
    for (burst, seconds, wait_ms) in [(7, 1, 143), (60, 900, 15_000), (1, 1, 1_000)] {
        let bucket = fresh_bucket(burst, seconds);
        exhaust(store, clock, &bucket).await;
        clock.advance(Duration::from_millis(wait_ms) - MILLISECOND);
        assert!(!take(store, &bucket).await, "{bucket:?}: too early");
        clock.advance(MILLISECOND);
        assert!(take(store, &bucket).await, "{bucket:?}");
        assert!(!take(store, &bucket).await, "{bucket:?}: one place, not two");
    }
}

pub async fn a_hundred_takes_at_once_admit_exactly_the_burst(store: &SharedLimits, _: &ManualClock) {
    let bucket = fresh_bucket(60, 900);
    let takes = (0..100).map(|_| {
        let store = Arc::clone(store);
        async move { store.take(&bucket).await }
    });
    let admitted = race(takes.collect::<Vec<_>>()).await.iter().filter(|take| take.admitted).count();
    assert_eq!(admitted, 60);
}

pub async fn a_hundred_takes_and_givings_back_at_once_lose_nothing(store: &SharedLimits, _: &ManualClock) {
    let bucket = fresh_bucket(200, 900);
    for _ in 0..50 {
        assert!(take(store, &bucket).await);
    }
    let calls = (0..100).map(|i| {
        let store = Arc::clone(store);
        async move {
            match i % 2 {
                0 => store.take(&bucket).await.map(|_| ()),
                _ => store.give_back(&bucket).await.map(|_| ()),
            }
        }
    });
    race(calls.collect::<Vec<_>>()).await;
    assert_eq!(give_back(store, &bucket).await, 151, "50 are out, less the one of now");
}

pub async fn what_is_given_back_can_be_taken_again(store: &SharedLimits, clock: &ManualClock) {
    let bucket = fresh_bucket(3, 60);
    exhaust(store, clock, &bucket).await;
    assert_eq!(give_back(store, &bucket).await, 1);
    assert!(take(store, &bucket).await);
    assert!(!take(store, &bucket).await);
}

pub async fn no_more_than_the_burst_can_be_given_back(store: &SharedLimits, clock: &ManualClock) {
    let bucket = fresh_bucket(2, 60);
    assert!(take(store, &bucket).await);
    for _ in 0..5 {
        assert_eq!(give_back(store, &bucket).await, 2);
    }
    exhaust(store, clock, &bucket).await;
    assert!(!take(store, &bucket).await);
}

pub async fn a_bucket_is_as_new_after_its_period(store: &SharedLimits, clock: &ManualClock) {
    let bucket = fresh_bucket(60, 900);
    exhaust(store, clock, &bucket).await;
    clock.advance(SECOND * 900);
    exhaust(store, clock, &bucket).await;
    assert!(!take(store, &bucket).await);
    clock.advance(DAY * 365);
    exhaust(store, clock, &bucket).await;
    assert!(!take(store, &bucket).await);
}

pub async fn buckets_do_not_touch_each_other(store: &SharedLimits, clock: &ManualClock) {
    let (one, other) = (fresh_bucket(2, 60), fresh_bucket(2, 60));
    exhaust(store, clock, &one).await;
    give_back(store, &other).await;
    assert!(!take(store, &one).await);
    exhaust(store, clock, &other).await;
}

/// Nobody is locked out until the time has come again that the clock showed before.
pub async fn a_bucket_leaks_on_from_when_the_clock_was_put_back(store: &SharedLimits, clock: &ManualClock) {
    let bucket = fresh_bucket(2, 60);
    exhaust(store, clock, &bucket).await;
    clock.set(START.before(SECOND * 3_600));
    assert!(!take(store, &bucket).await);
    assert_eq!(give_back(store, &bucket).await, 1);
    assert!(take(store, &bucket).await);
    clock.advance(SECOND * 30);
    assert!(take(store, &bucket).await, "counted from when it was put back");
    assert!(!take(store, &bucket).await);
}

/// The rule is written down twice, here and in a script: they must not drift.
pub async fn any_sequence_ends_as_that_of_the_model(store: &SharedLimits, clock: &ManualClock) {
    let mut state: u64 = 0x5eed;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for (burst, seconds) in [(1, 1), (7, 1), (3, 7), (60, 900), (1_000_000, 86_400)] {
        let bucket = fresh_bucket(burst, seconds);
        let mut model = Fill::empty(clock.now());
        for step in 0..150 {
            let now = clock.now();
            let what = format!("{burst}/{seconds}s, step {step}");
            if next(4) == 0 {
                model = model.give_back(bucket.rate, now);
                let level = store.give_back(&bucket).await.expect("give_back");
                assert_eq!(level, model.level(bucket.rate), "{what}");
            } else {
                let (filled, admitted) = model.take(bucket.rate, now);
                model = filled;
                let taken = store.take(&bucket).await.expect("take");
                assert_eq!((taken.admitted, taken.level), (admitted, model.level(bucket.rate)), "{what}");
            }
            if next(3) == 0 {
                clock.advance(Duration::from_millis(next(seconds * 3_000 / u64::from(burst).min(100) + 2)));
            }
        }
    }
}

async fn is_known(store: &SharedLimits, account: AccountMark, place: PlaceMark) -> bool {
    store.is_known_place(account, place).await.expect("is_known_place")
}

async fn remember(store: &SharedLimits, account: AccountMark, place: PlaceMark) {
    store.remember_place(account, place).await.expect("remember_place");
}

fn memory() -> Duration {
    DAY * u32::try_from(PLACE_MEMORY_DAYS).expect("a few days")
}

pub async fn a_place_is_known_for_its_time_to_the_millisecond(store: &SharedLimits, clock: &ManualClock) {
    let (account, place) = (fresh_account(), fresh_place());
    assert!(!is_known(store, account, place).await);
    remember(store, account, place).await;
    assert!(is_known(store, account, place).await);
    clock.advance(memory() - MILLISECOND);
    assert!(is_known(store, account, place).await);
    clock.advance(MILLISECOND);
    assert!(!is_known(store, account, place).await);
}

pub async fn a_place_that_is_met_again_is_known_for_longer(store: &SharedLimits, clock: &ManualClock) {
    let (account, place) = (fresh_account(), fresh_place());
    remember(store, account, place).await;
    clock.advance(DAY);
    remember(store, account, place).await;
    clock.advance(memory() - MILLISECOND);
    assert!(is_known(store, account, place).await);
    clock.advance(MILLISECOND);
    assert!(!is_known(store, account, place).await);
}

pub async fn a_place_is_known_to_its_account_alone(store: &SharedLimits, _: &ManualClock) {
    let (ada, eve, place) = (fresh_account(), fresh_account(), fresh_place());
    remember(store, ada, place).await;
    assert!(!is_known(store, eve, place).await);
    assert!(!is_known(store, ada, fresh_place()).await);
}

pub async fn of_many_places_the_newest_are_remembered(store: &SharedLimits, clock: &ManualClock) {
    let account = fresh_account();
    let places: Vec<PlaceMark> = (0..PLACES_MAX + 3).map(|_| fresh_place()).collect();
    for place in &places {
        remember(store, account, *place).await;
        clock.advance(SECOND);
    }
    for (number, place) in places.iter().enumerate() {
        assert_eq!(is_known(store, account, *place).await, number >= 3, "the place number {number}");
    }
}
