package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/tidewaiter/tidewaiter/internal/calls"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

// Codes of ejabberd's answers. Those of commands are their own (command.Error.Code).
const (
	codeCredentials = 10
	codeDenied      = 32
	codeNoCommand   = 40
	codeUnknown     = 44
)

// problem is the answer to a request that was not successful.
type problem struct {
	status int
	text   string
	coded  bool // the body is an object with code and text, not text alone
	code   int
	token  bool // a token was wrong
}

func (p *problem) Error() string { return p.text }

func badRequest(text string) *problem { return &problem{status: http.StatusBadRequest, text: text} }

func tooLarge() *problem {
	return &problem{status: http.StatusRequestEntityTooLarge, text: fmt.Sprintf("the body is larger than %d bytes", maxBody)}
}

func wrongCredentials() *problem {
	return &problem{status: http.StatusUnauthorized, coded: true, code: codeCredentials, text: "wrong user or password; the user is an address, as in user@host"}
}

func wrongToken() *problem {
	return &problem{status: http.StatusUnauthorized, coded: true, code: codeCredentials, text: "the token is wrong or has expired", token: true}
}

// problemOf returns the answer to a request that ended in an error.
func problemOf(err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, calls.ErrUnknown):
		return &problem{status: http.StatusNotFound, coded: true, code: codeUnknown, text: "Command not found."}
	case errors.Is(err, calls.ErrDenied):
		return &problem{status: http.StatusForbidden, coded: true, code: codeDenied, text: "api_permissions do not let you run this command"}
	}
	return problemOfCommand(command.Fault(err))
}

func problemOfCommand(e *command.Error) *problem {
	p := &problem{text: e.Text, code: e.Code, coded: e.Code != 0 || e.Kind == command.Conflict}
	switch {
	case e.Kind == command.Conflict:
		p.status = http.StatusConflict
	case e.Kind == command.NotFound:
		p.status = http.StatusNotFound
	case e.Kind == command.Internal && e.Text == command.Internal.String() && !p.coded:
		p.status, p.text = http.StatusInternalServerError, "internal_error"
	case e.Kind == command.Internal || p.coded:
		p.status = http.StatusInternalServerError
	case e.Kind == command.NotAllowed:
		p.status = http.StatusUnauthorized
	default:
		p.status = http.StatusBadRequest
	}
	return p
}

// append appends the body of the answer.
func (p *problem) append(b []byte) []byte {
	if !p.coded {
		return appendString(b, p.text)
	}
	b = append(b, `{"status":"error","code":`...)
	b = strconv.AppendInt(b, int64(p.code), 10)
	b = append(b, `,"message":`...)
	return append(appendString(b, p.text), '}')
}

// challenge says by which credentials it goes. See RFC 9110, section 11.6.1, and RFC
// 6750, section 3.
func (p *problem) challenge(header http.Header) {
	bearer := `Bearer realm="api"`
	if p.token {
		bearer += `, error="invalid_token"`
	}
	header["Www-Authenticate"] = []string{`Basic realm="api", charset="UTF-8"`, bearer}
}
