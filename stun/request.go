package stun

import (
	"context"
	"log/slog"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/auth"
	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// Error codes, and what is said with them (RFC 8489, section 14.8; RFC 8656, section
// 19).
const (
	codeTryAlternate     = 300
	codeBadRequest       = 400
	codeUnauthorized     = 401
	codeForbidden        = 403
	codeNotAllowed       = 405 // of ejabberd: the RFCs have none
	codeUnknownAttribute = 420
	codeMismatch         = 437
	codeFamily           = 440
	codeWrongCredentials = 441
	codeTransport        = 442
	codePeerFamily       = 443
	codeQuota            = 486
	codeServerError      = 500
	codeConnected        = 446 // of RFC 6062, section 6.3, as the next
	codeUnconnected      = 447
	codeCapacity         = 508
)

func reason(code int) string {
	switch code {
	case codeTryAlternate:
		return "Try Alternate"
	case codeBadRequest:
		return "Bad Request"
	case codeUnauthorized:
		return "Unauthenticated"
	case codeForbidden:
		return "Forbidden"
	case codeNotAllowed:
		return "Method Not Allowed"
	case codeUnknownAttribute:
		return "Unknown Attribute"
	case codeMismatch:
		return "Allocation Mismatch"
	case codeFamily:
		return "Address Family not Supported"
	case codeWrongCredentials:
		return "Wrong Credentials"
	case codeTransport:
		return "Unsupported Transport Protocol"
	case codePeerFamily:
		return "Peer Address Family Mismatch"
	case codeQuota:
		return "Allocation Quota Reached"
	case codeConnected:
		return "Connection Already Exists"
	case codeUnconnected:
		return "Connection Timeout or Failure"
	case codeCapacity:
		return "Insufficient Capacity"
	}
	return "Server Error"
}

// maxUnsigned is the size of answers to strangers, who may have sent in the name of
// somebody else, from which on SOFTWARE is left out.
const maxUnsigned = 240

// keyLife is how long the key of an allocation is used before the account is asked
// again: so long somebody can go on whose password has changed.
const keyLife = 10 * time.Minute

// request is a request of a client, on its way to an answer. It can be used again
// after begin.
type request struct {
	l      *listener
	set    *settings
	client client // nil for Binding
	m      *wire.Message
	now    time.Time
	a      *allocation // of the client; nil: it has none
	id     auth.Identity
	signed bool // it is known that id has sent it, and so the answer is signed

	b        wire.Builder
	dst      []byte
	answered bool // b has the answer
	refused  bool // it is an error that counts
}

// begin takes a message, to be answered behind dst.
func (r *request) begin(l *listener, m *wire.Message, c client, now time.Time, dst []byte) {
	r.l, r.set, r.client, r.m, r.now, r.dst = l, l.set.Load(), c, m, now, dst
	r.a, r.id, r.signed, r.answered, r.refused = nil, auth.Identity{}, false, false, false
	if c != nil {
		r.a = l.allocation(c.key())
	}
}

// admit answers the request, if it is to have an answer, unless that takes an account,
// of which nothing is known yet: then it returns a claim for resolve, and true.
func (r *request) admit() (claim auth.Claim, lookUp bool) {
	method := r.m.Method()
	switch {
	case r.set.UseTURN && (method == stun.MethodSend || method == stun.MethodData):
		return claim, false // these are for indications (RFC 8489, section 6.3)
	case !r.set.UseTURN || !isTURN(method):
		r.fail(codeNotAllowed)
		return claim, false
	}
	users := r.users()
	if users == nil {
		if r.hasCredentials() {
			r.fail(codeUnauthorized)
			return claim, false
		}
		r.handle()
		return claim, false
	}
	claim, no := users.Begin(r.m, r.client.address())
	if no != nil {
		r.refuse(no)
		return claim, false
	}
	if r.isKnown(claim) {
		r.handle()
		return claim, false
	}
	return claim, true
}

// users returns what checks who sent the request; nil: nobody is asked. That of an
// allocation does not change with the options.
func (r *request) users() *auth.Authenticator {
	if r.a != nil {
		return r.a.users
	}
	return r.set.auth
}

// hasCredentials says whether somebody who is not asked says who he is.
func (r *request) hasCredentials() bool {
	return r.m.Has(stun.AttrMessageIntegrity) || r.m.Has(stun.AttrMessageIntegritySHA256) || r.m.Has(stun.AttrUsername)
}

// isKnown checks a claim with the key of the client's allocation.
func (r *request) isKnown(claim auth.Claim) bool {
	if r.a == nil {
		return false
	}
	known := r.a.identity.Load()
	if r.now.Sub(known.since) >= keyLife {
		return false
	}
	id, ok := claim.Reuse(known.Identity)
	if !ok || claim.Verify(r.m, id) != nil {
		return false // it may have another password now
	}
	r.id, r.signed = id, true
	return true
}

// resolve looks up who sent a request that admit left open, and answers it. It blocks
// until accounts have answered.
func (r *request) resolve(ctx context.Context, claim auth.Claim) {
	users := r.users()
	if users == nil {
		return // the options have changed meanwhile
	}
	id, no := users.Keys(ctx, claim)
	if no == nil {
		no = claim.Verify(r.m, id)
	}
	if no != nil {
		if ctx.Err() == nil {
			r.refuse(no)
		}
		return
	}
	r.id, r.signed = id, true
	if r.a != nil && r.a.user == id.User {
		r.a.identity.Store(&identity{id, r.now})
	}
	if r.set = r.l.set.Load(); !r.set.UseTURN { // it may be another one by now
		r.fail(codeNotAllowed)
		return
	}
	r.handle()
}

// send sends the answer at once, if there is one.
func (r *request) send() {
	if !r.answered {
		return
	}
	if r.refused {
		r.l.srv.stats.refused.Add(1)
	}
	r.client.send(nil, r.b.Bytes())
}

// handle answers a request whose sender may send it.
func (r *request) handle() {
	if unknown := r.m.Unknown(known, nil); len(unknown) > 0 {
		r.failUnknown(unknown)
		return
	}
	method := r.m.Method()
	switch method {
	case stun.MethodAllocate:
		r.allocate()
		return
	case stun.MethodConnectionBind:
		r.connectionBind()
		return
	}
	switch a := r.a; {
	case a == nil:
		r.fail(codeMismatch)
	case r.signed && r.id.User != a.user:
		r.fail(codeWrongCredentials)
	case method == stun.MethodRefresh:
		r.refresh()
	case method == stun.MethodCreatePermission:
		r.createPermission()
	case method == stun.MethodConnect:
		r.connect()
	case a.tcp: // has no channels
		r.fail(codeForbidden)
	default:
		r.channelBind()
	}
}

// isTURN says whether there are requests of a method that concern relays.
func isTURN(m stun.Method) bool {
	switch m {
	case stun.MethodAllocate, stun.MethodRefresh, stun.MethodCreatePermission, stun.MethodChannelBind,
		stun.MethodConnect, stun.MethodConnectionBind:
		return true
	}
	return false
}

// succeed begins a success response; finish ends it.
func (r *request) succeed() {
	r.answered = true
	r.b.Reply(r.dst, r.m, stun.ClassSuccessResponse)
}

// fail answers by an error.
func (r *request) fail(code int) {
	r.beginError(code, reason(code))
	r.finish()
}

// failUnknown says which attributes are not understood (RFC 8489, section 6.3.1).
func (r *request) failUnknown(list []stun.AttrType) {
	r.beginError(codeUnknownAttribute, reason(codeUnknownAttribute))
	r.b.AddUnknown(list)
	r.finish()
}

// refuse answers somebody who has not shown who he is.
func (r *request) refuse(no *auth.Refusal) {
	if no.Err != nil {
		r.l.trouble.Log(context.Background(), slog.LevelError, "accounts failed",
			netserve.KeyPeer, r.client.address().String(), netserve.KeyErr, no.Err)
	}
	r.beginError(no.Code, no.Reason)
	if no.Challenge {
		r.users().Challenge(&r.b, r.client.address())
		r.refused = no.Code == codeUnauthorized && r.hasCredentials()
	}
	r.finish()
}

func (r *request) beginError(code int, reason string) {
	r.answered, r.refused = true, true
	r.b.Reply(r.dst, r.m, stun.ClassErrorResponse)
	r.b.AddError(code, reason)
}

// finish adds to an answer what all have.
func (r *request) finish() {
	if r.m.Classic() {
		return
	}
	if name := r.set.ServerName; name != "" && (r.signed || len(r.b.Bytes())-len(r.dst)+len(name) < maxUnsigned) {
		r.b.AddString(stun.AttrSoftware, name)
	}
	if r.signed {
		r.b.Integrity(r.id.Key, r.id.SHA256)
	}
	if r.m.Has(stun.AttrFingerprint) {
		r.b.Fingerprint()
	}
}
