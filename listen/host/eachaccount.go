package host

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// accountsPage is how many accounts are read at once.
const accountsPage = 5000

// each calls f for the accounts of a domain, sorted by their names, until f returns an
// error or ctx ends. It has a page of them in memory.
func (a *Accounts) each(ctx context.Context, domain string, f func(user stanza.JID) error) error {
	if !a.has(domain) {
		return nil
	}
	for after := ""; ; {
		page, err := a.store.List(ctx, domain, after, accountsPage)
		if err != nil {
			return err
		}
		for _, user := range page {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := f(user); err != nil {
				return err
			}
		}
		if len(page) < accountsPage {
			return nil
		}
		after = page[len(page)-1].Local()
	}
}

// eachAccount does so for the domains, one after the other.
func (h *Host) eachAccount(ctx context.Context, domains []string, f func(user stanza.JID) error) error {
	for _, domain := range domains {
		if err := h.Accounts.each(ctx, domain, f); err != nil {
			return err
		}
	}
	return nil
}
