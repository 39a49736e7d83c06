// Package onbehalf says in a context which component has made a request in the name
// of a user (XEP-0356).
package onbehalf

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

type key struct{}

// With returns a context for what a component has sent.
func With(ctx context.Context, component stanza.JID) context.Context {
	return context.WithValue(ctx, key{}, component)
}

// Of returns the component, zero for none.
func Of(ctx context.Context) stanza.JID {
	j, _ := ctx.Value(key{}).(stanza.JID)
	return j
}
