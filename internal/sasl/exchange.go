package sasl

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// step is one step of a mechanism. A user that is not zero ends the exchange:
// it was authenticated.
type step func(ctx context.Context, msg []byte) (data []byte, user stanza.JID, err error)

// maxSteps bounds every exchange: an empty challenge for a client that sent no
// initial response, and the two steps of SCRAM.
const maxSteps = 3

// exchange holds the rules that are the same for all mechanisms.
type exchange struct {
	step  step
	steps int
	user  stanza.JID
}

func (e *exchange) User() stanza.JID { return e.user }

func (e *exchange) Step(ctx context.Context, msg []byte) ([]byte, bool, error) {
	if e.step == nil {
		return e.end(fail(MalformedRequest, errors.New("exchange has ended")))
	}
	if e.steps++; e.steps > maxSteps {
		return e.end(fail(MalformedRequest, errors.New("too many messages")))
	}
	if len(msg) > MaxMessage {
		return e.end(fail(MalformedRequest, errors.New("message is too long")))
	}
	data, user, err := e.step(ctx, msg)
	if err != nil {
		return e.end(err)
	}
	if !user.IsZero() {
		e.user, e.step = user, nil
		return data, true, nil
	}
	if data == nil {
		data = []byte{}
	}
	return data, false, nil
}

func (e *exchange) end(err error) ([]byte, bool, error) {
	e.step = nil
	return nil, false, err
}
