//! The rules that the design relies on, and the bugs that switch them off.
//!
//! Scripts and functions of the service name the rule that they carry out.

macro_rules! rules {
    ($($name:ident: $sentence:literal,)+) => {
        /// What the design relies on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $sentence] $name,)+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What it says.
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)+
                }
            }
        }
    };
}

macro_rules! bugs {
    ($($name:ident breaks $rule:ident: $sentence:literal,)+) => {
        /// A rule switched off: the checker must find what it breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Bug {
            $(#[doc = $sentence] $name,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The rule that it switches off.
            pub fn rule(self) -> Rule {
                match self {
                    $(Self::$name => Rule::$rule,)+
                }
            }
        }
    };
}

rules! {
    VouchingIsPassed:
        "Every operation passes the vouching number that its process knows; the store carries nothing out when its state is missing or has another one.",
    SealIsTheServer:
        "Data counts only on the server that it was vouched for on: the seal is compared with the identity of the server behind the connection.",
    OnlyAMasterJudges:
        "A server that was demoted answers nothing: scripts make a write that it refuses, reads ask for its role last.",
    IdentityBeforeHeads:
        "A look reads the server's identity and the state first and SQL's heads afterwards, so the heads have whatever was acknowledged before that server took over.",
    ReplayBeforeVouching:
        "A store is vouched for only when its mark has reached the head that the look has read.",
    MarkMovesOnlyOverApplied:
        "The mark passes a position only when that entry and every one before it are carried out here; what is carried out ahead of a gap is remembered until the gap is filled.",
    AppliedBeforeTheMark:
        "An entry is carried out before the mark moves over it, or in the same step.",
    MarkFollowsTheChain:
        "Each entry names the one before it, and the mark moves from an entry only to the one that names it: mark and entry stand for the whole history.",
    StepsCompareAndSet:
        "A step of a look writes only over exactly what the look has read, so a paused one changes nothing.",
    PositionsAboveTheMark:
        "SQL gives a position only while it has the store's entry at the store's mark; otherwise it went back, and a look mends that first.",
    HoleIsWrittenDown:
        "When SQL went back and the store did not, the positions up to the store's mark are written down as lost.",
    NoReplayAcrossAHole:
        "A replay that would have to pass a lost position begins a new incarnation instead.",
    SealTellsWhoWentBack:
        "Where SQL and the store differ under an unbroken seal, SQL went back: both go on from a new common entry, and nobody is logged out.",
    JoinCarriesOut:
        "Before the mark moves to a common entry, everything that SQL has below it is carried out.",
    HighMarkIsCompared:
        "A process remembers the highest mark that it read, with its entry; what somebody else vouched for must contain it, or a new incarnation begins.",
    CondemnedBeforeDrawn:
        "Data that counts no more is taken out of use, if it is still what the look has read, before a new incarnation is drawn: a look that was overtaken condemns nothing.",
    IncarnationNeverGoesBack:
        "A process remembers its incarnation, and begins a new one rather than going back to an older one.",
    OwnVouchingIsTrusted:
        "While its own vouching stands on the server, a process does not compare the highest mark that it remembers: the store has lost nothing, whatever became of SQL.",
    OwedUntilJournaled:
        "What is carried out while SQL is away is noted as owed in the same step, and nobody is told that it is done before it is journaled.",
    TokensOfTheirIncarnation:
        "Sessions and tokens of another incarnation are refused, by equality and not by time.",
    IncarnationsAreNew:
        "Every empty beginning draws an incarnation that nobody ever had, whatever SQL or the store say of numbers.",
    VouchingsAreNew:
        "A vouching number is never drawn twice, not even from a database that was restored.",
    GraceClosesOnUse:
        "The token before the current one gets the same successor again only until that successor is used.",
    AheadMovesForward:
        "A token newer than the store knows moves its session forward to it.",
    ReuseEndsTheSession:
        "A token that was replaced and is past its grace ends its session.",
    StoresClockDecides:
        "Windows and ends (grace, pruning) are judged by the store's clock alone.",
    NoSessionBelowTheCutOff:
        "A session is opened only at a version that the cut-off does not condemn, judged in the step that opens it: one below would be dead from the start, with its owner told that it is there.",
    CutOffNeverGoesDown:
        "A cut-off that is carried out late never lowers a later one.",
    VersionsAreNew:
        "A security version is never given twice, not even after SQL was restored.",
    LoginOutrunsRestoredSql:
        "A login that SQL allows and a cut-off forbids advances SQL past the cut-off, once nothing that is owed explains it.",
    RevocationWaitsForMirrors:
        "A revocation is acknowledged when every mirror has read it, or has been silent for its max_staleness.",
    VouchingIsWaitedOut:
        "After a new vouching nothing is acknowledged before the largest max_staleness has passed: the register of mirrors may be lost.",
    NewVouchingReadsAnew:
        "A reader that meets another vouching number begins at the stream's start.",
    ReadsWhatIsVouchedFor:
        "A mirror reads only from a store that is vouched for on the server behind its connection.",
    FreshFromTheBeginning:
        "A copy is fresh for max_staleness from the moment its read began, not from when it ended.",
    OnlyMembersAnswer:
        "A read counts only if the mirror was a member when it began and still is when it is confirmed.",
    OnlyCompleteReadsCount:
        "A read counts only if it was all there was.",
    AnnouncedBeforeTheBarrier:
        "A revocation is in the stream before its barrier is raised.",
    StaleSaysNothing:
        "A copy past its time answers nothing.",
    VersionsNotTimes:
        "Whether a token is older than an event is told by versions, never by the times of two clocks.",
    OddReplicaKeepsOut:
        "A replica whose clock is off by more than the leeway mints nothing and judges no token by its own clock.",
    DenialsOutliveTokens:
        "A denial is kept for a token's lifetime and two leeways: one for the minting clock, one for the judging one.",
}

bugs! {
    VouchingNotPassed breaks VouchingIsPassed:
        "Scripts do not compare the vouching number.",
    SealNotCompared breaks SealIsTheServer:
        "Restored data vouches for itself.",
    ReplicaJudges breaks OnlyAMasterJudges:
        "What a demoted master has is believed over a connection that is still open.",
    HeadsBeforeIdentity breaks IdentityBeforeHeads:
        "The heads are read before the server is known.",
    VouchedBeforeReplayed breaks ReplayBeforeVouching:
        "The seal is written, then the replay goes on.",
    NotReplayed breaks ReplayBeforeVouching:
        "The copy that takes over is used as it is.",
    MarkPassesUnapplied breaks MarkMovesOnlyOverApplied:
        "A position beyond a gap moves the mark over the gap.",
    MarkMovedBeforeTheWrite breaks AppliedBeforeTheMark:
        "The mark moves, and then the entry is carried out.",
    MarkMovesOffTheChain breaks MarkFollowsTheChain:
        "The next number is enough for the mark to move.",
    WritesWithoutComparing breaks StepsCompareAndSet:
        "A paused look writes over whatever is there.",
    PositionsBelowTheMark breaks PositionsAboveTheMark:
        "SQL that went back gives its positions anew.",
    HoleNotWrittenDown breaks HoleIsWrittenDown:
        "SQL goes on as if it had lost nothing.",
    HoleCrossed breaks NoReplayAcrossAHole:
        "A replay passes lost positions.",
    DivergenceAlwaysEmpties breaks SealTellsWhoWentBack:
        "Every difference begins a new incarnation.",
    JoinedWithoutCarryingOut breaks JoinCarriesOut:
        "The mark jumps over what SQL gave anew.",
    HighMarkForgotten breaks HighMarkIsCompared:
        "A process trusts what another one vouched for.",
    HighMarkWithoutItsEntry breaks HighMarkIsCompared:
        "Only the number is compared, which a new history reaches as well.",
    DrawnBeforeCondemned breaks CondemnedBeforeDrawn:
        "A paused look draws a number, and everybody else takes the current data for older.",
    OlderIncarnationRevived breaks IncarnationNeverGoesBack:
        "Data of an older incarnation counts once SQL was restored to it.",
    OwnVouchingNotTrusted breaks OwnVouchingIsTrusted:
        "A look begins a new incarnation because SQL alone lacks the mark.",
    OwedForgotten breaks OwedUntilJournaled:
        "What was done while SQL was away is not noted.",
    OlderIncarnationAccepted breaks TokensOfTheirIncarnation:
        "The incarnation is not compared.",
    NotBeforeInsteadOfIncarnation breaks TokensOfTheirIncarnation:
        "Tokens are told apart by the second of the loss, rounded down.",
    IncarnationByNumber breaks IncarnationsAreNew:
        "A restored database gives an incarnation's number again.",
    OlderStateAdoptsTheNumber breaks IncarnationsAreNew:
        "Data of an older incarnation is emptied into the current one.",
    VouchingCounted breaks VouchingsAreNew:
        "A restored database gives a vouching's number again.",
    GraceStaysOpen breaks GraceClosesOnUse:
        "Within the window every older token gets a successor.",
    AheadIsReuse breaks AheadMovesForward:
        "A token newer than the store ends the session.",
    AheadDoesNotMove breaks AheadMovesForward:
        "It gets a successor, and the session stays where it was.",
    ReuseIsOnlyRefused breaks ReuseEndsTheSession:
        "The old token is refused, whoever has the new one goes on.",
    GraceByTheReplicasClock breaks StoresClockDecides:
        "The grace window is judged by the replica's clock.",
    PrunesByTheReplicasClock breaks StoresClockDecides:
        "A replica whose clock is ahead drops live denials.",
    OpensBelowTheCutOff breaks NoSessionBelowTheCutOff:
        "The version of a login is not compared with the cut-off.",
    CutOffGoesDown breaks CutOffNeverGoesDown:
        "The cut-off that comes last counts.",
    VersionsGivenTwice breaks VersionsAreNew:
        "A version is the last one and one more.",
    NeverAdvances breaks LoginOutrunsRestoredSql:
        "A login below the cut-off is refused, whatever SQL says.",
    NoWaitForASilentMirror breaks RevocationWaitsForMirrors:
        "A mirror that does not answer is not waited for.",
    NoWaitAfterVouching breaks VouchingIsWaitedOut:
        "The register that came with the store is believed at once.",
    PositionKept breaks NewVouchingReadsAnew:
        "The position lies ahead of the stream that took over.",
    ReadsWhatNobodyVouchedFor breaks ReadsWhatIsVouchedFor:
        "A mirror reads restored data before anybody has made it good.",
    FreshFromTheEndOfTheRead breaks FreshFromTheBeginning:
        "A paused read makes a copy fresh.",
    JoiningCountsAsReading breaks OnlyMembersAnswer:
        "A copy is fresh as soon as its mirror has joined.",
    RemovedMirrorGoesOn breaks OnlyMembersAnswer:
        "A mirror that was given up confirms its read.",
    IncompleteReadCounts breaks OnlyCompleteReadsCount:
        "A part of the stream makes a copy fresh.",
    BarrierBeforeTheAnnouncement breaks AnnouncedBeforeTheBarrier:
        "Mirrors acknowledge the barrier and have not seen the revocation.",
    StaleCopySaysYes breaks StaleSaysNothing:
        "A copy answers however old it is.",
    NotBeforeInsteadOfVersion breaks VersionsNotTimes:
        "An event's time is compared with a token's, each by its own clock.",
    OddReplicaMints breaks OddReplicaKeepsOut:
        "A replica far ahead mints tokens that outlive their denials.",
    OddReplicaJudges breaks OddReplicaKeepsOut:
        "A replica far behind takes tokens whose denials have ended.",
    DenialKeptForOneLeeway breaks DenialsOutliveTokens:
        "A denial ends while a clock that is behind still takes the token.",
}
