package sasl

// Condition is a defined condition of a SASL failure.
// See RFC 6120, section 6.5.
type Condition string

const (
	Aborted              Condition = "aborted"
	AccountDisabled      Condition = "account-disabled"
	CredentialsExpired   Condition = "credentials-expired"
	EncryptionRequired   Condition = "encryption-required"
	IncorrectEncoding    Condition = "incorrect-encoding"
	InvalidAuthzid       Condition = "invalid-authzid"
	InvalidMechanism     Condition = "invalid-mechanism"
	MalformedRequest     Condition = "malformed-request"
	MechanismTooWeak     Condition = "mechanism-too-weak"
	NotAuthorized        Condition = "not-authorized"
	TemporaryAuthFailure Condition = "temporary-auth-failure"
)

// Failure ends an exchange. Condition and Text are what the peer is told; Err
// says more and stays on this side. It never holds a password or a token.
type Failure struct {
	Condition Condition
	Text      string // for the peer's people, "" when absent
	Err       error  // for our log, nil when there is no more to say
}

// Error returns the condition, the text and the wrapped error.
func (f *Failure) Error() string {
	s := string(f.Condition)
	if f.Text != "" {
		s += ": " + f.Text
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (f *Failure) Unwrap() error { return f.Err }

// Is reports whether target is a failure of the same condition.
func (f *Failure) Is(target error) bool {
	t, ok := target.(*Failure)
	return ok && t.Condition == f.Condition
}

func fail(c Condition, err error) *Failure { return &Failure{Condition: c, Err: err} }
