package register

import (
	"context"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// request is one request while it is answered.
type request struct {
	*Service
	iq      *stanza.Stanza
	peer    stanza.Peer
	domain  string // the virtual host that it concerns
	options Options
	query   *stanza.Element
}

func (r *request) handle(ctx context.Context) (answer *stanza.Stanza, err error) {
	if r.query, err = r.iq.Payload(); err != nil || r.query == nil {
		return nil, &stanza.Error{Condition: stanza.BadRequest}
	}
	if r.iq.Type == stanza.TypeGet {
		return r.form(ctx)
	}
	if r.query.Child(NS, "remove") != nil {
		return r.remove(ctx)
	}
	user, password := r.query.Child(NS, "username"), r.query.Child(NS, "password")
	if user == nil || password == nil {
		return nil, &stanza.Error{Condition: stanza.BadRequest, Text: "both username and password are needed"}
	}
	account, err := stanza.NewJID(user.Text, r.domain, "")
	if err != nil || account.Local() == "" {
		return nil, &stanza.Error{Condition: stanza.JIDMalformed, Text: "this is no name for an account"}
	}
	if r.own() && account == r.iq.From.Bare() {
		return r.changePassword(ctx, account, password.Text)
	}
	return r.register(ctx, account, password.Text)
}

// own reports whether the sender has logged in as a user of the virtual host.
func (r *request) own() bool {
	return r.iq.From.Local() != "" && r.iq.From.Domain() == r.domain
}

// form answers what there is to fill in: XEP-0077, section 3.1.
func (r *request) form(ctx context.Context) (*stanza.Stanza, error) {
	registered := false
	if r.own() {
		var err error
		if registered, err = r.accounts.Exists(ctx, r.iq.From.Bare()); err != nil {
			return nil, err
		}
	}
	b := []byte("<query xmlns='" + NS + "'>")
	switch {
	case registered:
		b = append(b, "<registered/><username>"...)
		b = stanza.AppendEscaped(b, r.iq.From.Local())
		b = append(b, "</username><password/>"...)
	case r.options.RedirectURL != "":
		b = append(b, "<instructions>To register, visit "...)
		b = stanza.AppendEscaped(b, r.options.RedirectURL)
		b = append(b, "</instructions><x xmlns='jabber:x:oob'><url>"...)
		b = stanza.AppendEscaped(b, r.options.RedirectURL)
		b = append(b, "</url></x>"...)
	case !r.mayRegister():
		return nil, forbidden()
	default:
		b = append(b, "<instructions>Choose a user name and a password to register with this server</instructions><username/><password/>"...)
	}
	return r.iq.Result(string(append(b, "</query>"...))), nil
}

// mayRegister reports whether the sender may register accounts at all.
func (r *request) mayRegister() bool {
	subject := acl.Subject{Server: r.domain, Host: r.domain, IP: r.peer.Addr.Addr()}
	if !r.options.open() || !r.options.IPAccess.Allow(subject) {
		return false
	}
	return r.iq.From.IsZero() || r.options.AccessFrom != nil && r.options.AccessFrom.Allow(r.sender())
}

// sender is the logged-in user as the subject of a rule.
func (r *request) sender() acl.Subject {
	f := r.iq.From
	return acl.Subject{User: f.Local(), Server: f.Domain(), Resource: f.Resource(), Host: r.domain, IP: r.peer.Addr.Addr()}
}

// register makes an account: XEP-0077, section 3.1.
func (r *request) register(ctx context.Context, account stanza.JID, password string) (*stanza.Stanza, error) {
	subject := acl.Subject{User: account.Local(), Server: r.domain, Host: r.domain, IP: r.peer.Addr.Addr()}
	if r.options.RedirectURL != "" || !r.mayRegister() || !r.options.Access.Allow(subject) {
		return nil, forbidden()
	}
	if password == "" {
		return nil, &stanza.Error{Condition: stanza.NotAcceptable, Text: "the password is empty"}
	}
	if err := r.checkStrength(password); err != nil {
		return nil, err
	}
	release, ok := r.recent.enter(r.peer.Addr.Addr())
	if !ok {
		return nil, &stanza.Error{Condition: stanza.ResourceConstraint, Text: "an account was registered from this address a short while ago"}
	}
	if err := r.accounts.Create(ctx, account, password); err != nil {
		release()
		return nil, err
	}
	r.log.Info("account registered", "user", account, "peer", r.peer.Addr)
	r.tell(ctx, account)
	return r.iq.Result(""), nil
}

// changePassword: XEP-0077, section 3.3.
func (r *request) changePassword(ctx context.Context, account stanza.JID, password string) (*stanza.Stanza, error) {
	if password == "" {
		return nil, &stanza.Error{Condition: stanza.BadRequest, Text: "the password is empty"}
	}
	if err := r.checkStrength(password); err != nil {
		return nil, err
	}
	if err := r.accounts.SetPassword(ctx, account, password, r.iq.From); err != nil {
		return nil, err
	}
	r.log.Info("password changed", "user", account, "peer", r.peer.Addr)
	return r.iq.Result(""), nil
}

// remove removes the sender's account: XEP-0077, section 3.2. The answer goes
// out before the session ends.
func (r *request) remove(ctx context.Context) (*stanza.Stanza, error) {
	switch {
	case r.iq.From.IsZero():
		return nil, &stanza.Error{Condition: stanza.UnexpectedRequest, Text: "log in first"}
	case len(r.query.Children) != 1:
		return nil, &stanza.Error{Condition: stanza.BadRequest, Text: "remove stands alone"}
	case !r.own():
		return nil, &stanza.Error{Condition: stanza.NotAllowed, Text: "this is not your server"}
	case r.options.AccessRemove == nil || !r.options.AccessRemove.Allow(r.sender()):
		return nil, forbidden()
	}
	account := r.iq.From.Bare()
	if err := r.accounts.Remove(ctx, account, r.iq.From); err != nil {
		return nil, err
	}
	r.log.Info("account removed", "user", account, "peer", r.peer.Addr)
	answer := r.iq.Result("")
	if answer.From.IsZero() {
		answer.From = account
	}
	err := r.router.Route(ctx, answer)
	r.router.Kick(r.iq.From, stanza.JID{}, &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Text: "the account was removed"})
	if err != nil {
		r.log.Warn("answer was lost", "user", account, "err", err)
	}
	return nil, nil
}

func forbidden() error {
	return &stanza.Error{Condition: stanza.Forbidden, Text: "denied by the policy of this server"}
}
