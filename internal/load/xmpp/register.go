package xmpp

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Register creates the accounts of the target in-band (XEP-0077). Those that
// exist already are fine.
type Register struct{}

// Run creates the accounts. Note says how many there were.
func (w Register) Run(ctx context.Context, t *Target) (meter.Result, error) {
	r, err := t.start("register")
	if err != nil {
		return r, err
	}
	before, err := meter.Read(t.PID)
	if err != nil {
		return r, err
	}
	var existed atomic.Int64
	err = crowd.Parallel(t.Accounts, t.logins(), func(i int) error {
		is, err := t.register(ctx, i)
		if is {
			existed.Add(1)
		}
		return err
	})
	if err != nil {
		return r, err
	}
	after, err := meter.Read(t.PID)
	if err != nil {
		return r, err
	}
	r.Counted(int64(t.Accounts)-existed.Load(), "accounts", after.Since(before))
	if n := existed.Load(); n > 0 {
		r.Note = fmt.Sprintf("%d accounts existed already", n)
	}
	return r, t.finish(&r, 0, nil)
}

// register creates account i and reports whether it existed.
func (t *Target) register(ctx context.Context, i int) (existed bool, err error) {
	c, _, err := t.connect(ctx, 0)
	if err != nil {
		return false, err
	}
	defer c.Close()
	if err := c.send("<iq type='set' id='register' to='" + t.Domain + "'><query xmlns='jabber:iq:register'><username>" +
		t.user(i) + "</username><password>" + t.Password + "</password></query></iq>"); err != nil {
		return false, err
	}
	el, err := c.expect("iq")
	if err != nil {
		return false, err
	}
	switch {
	case string(attribute(startTag(el), " type=")) == "result":
		return false, nil
	case strings.Contains(string(el), "<conflict"):
		return true, nil
	}
	return false, fmt.Errorf("registering %s: %.400s", t.user(i), el)
}
