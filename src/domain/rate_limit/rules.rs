//! What is limited, and by how much.

use super::bucket::Rate;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Checking a password that turns out wrong: a login, or the current password at a password change.
    Login,
    /// Checking a password that turns out right.
    LoginSuccess,
    /// Making an account.
    Register,
    /// Redeeming a refresh token.
    Refresh,
    /// Requesting a reset token.
    ResetRequest,
    /// Redeeming a reset token.
    Reset,
    /// Proving who a client is, at introspection and the other OAuth operations.
    Introspect,
}

impl Action {
    /// Whether one place may take only a share of what an account has: strangers pay from it.
    pub const fn is_shared_between_places(self) -> bool {
        matches!(self, Self::Login | Self::ResetRequest)
    }

    /// The name of the limit per address, which is that of its setting below `rate_limits`.
    pub const fn per_ip(self) -> &'static str {
        match self {
            Self::Login => "login.per_ip",
            Self::LoginSuccess => "login_success.per_ip",
            Self::Register => "register.per_ip",
            Self::Refresh => "refresh.per_ip",
            Self::ResetRequest => "reset_request.per_ip",
            Self::Reset => "reset.per_ip",
            Self::Introspect => "introspect.per_ip",
        }
    }

    /// The name of the limit per account; only some actions have one.
    pub const fn per_account(self) -> &'static str {
        match self {
            Self::Login => "login.per_account",
            Self::LoginSuccess => "login_success.per_account",
            Self::Register => "register.per_account",
            Self::Refresh => "refresh.per_account",
            Self::ResetRequest => "reset_request.per_account",
            Self::Reset => "reset.per_account",
            Self::Introspect => "introspect.per_account",
        }
    }
}

/// The limits of one action; `None` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActionLimits {
    /// For each address of clients.
    pub per_ip: Option<Rate>,
    /// For each account.
    pub per_account: Option<Rate>,
}

/// The limits of all actions. A new action gets its field here, its names in [`Action`], and its
/// settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitRules {
    /// Of [`Action::Login`].
    pub login: ActionLimits,
    /// Of [`Action::LoginSuccess`].
    pub login_success: ActionLimits,
    /// Of [`Action::Register`].
    pub register: ActionLimits,
    /// Of [`Action::Refresh`].
    pub refresh: ActionLimits,
    /// Of [`Action::ResetRequest`].
    pub reset_request: ActionLimits,
    /// Of [`Action::Reset`].
    pub reset: ActionLimits,
    /// Of [`Action::Introspect`].
    pub introspect: ActionLimits,
}

impl LimitRules {
    /// The limits of an action.
    pub const fn of(&self, action: Action) -> ActionLimits {
        match action {
            Action::Login => self.login,
            Action::LoginSuccess => self.login_success,
            Action::Register => self.register,
            Action::Refresh => self.refresh,
            Action::ResetRequest => self.reset_request,
            Action::Reset => self.reset,
            Action::Introspect => self.introspect,
        }
    }
}
