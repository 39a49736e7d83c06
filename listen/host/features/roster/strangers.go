package roster

import (
	"cmp"
	"context"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// A stranger is an item that is nothing but a request of somebody whom the user
// has neither answered nor listed.
func (i *Item) isStranger() bool { return !i.Listed && i.state() == state{pending: true} }

// place says how many items a roster may have for a new one to be stored.
// Mostly nobody need count: below the share of the strangers there is place for
// everybody.
type place struct {
	limit    int  // 0: none
	full     int  // max_items
	share    int  // of the strangers
	stranger bool // the new item is one
}

func (o *Options) placeForContact() place { return place{limit: o.MaxItems, full: o.MaxItems} }

func (o *Options) placeForStranger() place {
	if o.MaxItems == 0 {
		return place{}
	}
	share := max(o.MaxItems/2, 1)
	return place{limit: share, full: o.MaxItems, share: share, stranger: true}
}

// requests are the strangers of one domain.
type requests struct {
	count  int
	oldest Item // without what it says
}

// makePlace makes place where the store has found none: ErrFull if it cannot. A
// stranger that would be one too many, and a contact that finds the roster full,
// displace a request that nobody has answered: of the domain that has made most
// of them the oldest one, so that who floods a roster with requests displaces
// his own. Who has asked is not told and can ask again. The roster is locked.
func (s *Service) makePlace(ctx context.Context, user stanza.JID, p *place) error {
	items, strangers := 0, 0
	domains := make(map[string]*requests)
	err := s.each(ctx, user, func(i *Item) {
		items++
		if !i.isStranger() {
			return
		}
		strangers++
		of := domains[i.Contact.Domain()]
		if of == nil {
			of = new(requests)
			domains[i.Contact.Domain()] = of
		}
		if of.count++; of.count == 1 || i.Version < of.oldest.Version {
			of.oldest = Item{Contact: i.Contact, Version: i.Version}
		}
	})
	if err != nil {
		return err
	}
	p.limit = p.full
	if items < p.full && (!p.stranger || strangers < p.share) {
		return nil
	}
	most := new(requests)
	for _, of := range domains {
		if of.count > most.count || of.count == most.count && of.oldest.Version < most.oldest.Version {
			most = of
		}
	}
	if most.count == 0 {
		return ErrFull
	}
	s.log.Debug("request of subscription is displaced", "user", user, "from", most.oldest.Contact)
	_, err = s.store.Delete(ctx, user, most.oldest.Contact, most.oldest.Version)
	return err
}

// shown returns the requests that a resource is told of when it comes, oldest
// first. Of more than maxRequests they are those that would be displaced last.
func shown(asked []Item) []Item {
	if len(asked) > maxRequests {
		asked = lastDisplaced(asked)
	}
	slices.SortFunc(asked, func(a, b Item) int { return cmp.Compare(a.Version, b.Version) })
	return asked
}

// lastDisplaced returns maxRequests of the requests: the newest, of the domains
// that have made the fewest.
func lastDisplaced(asked []Item) []Item {
	counts := make(map[string]int)
	for _, i := range asked {
		counts[i.Contact.Domain()]++
	}
	type ranked struct {
		Item
		ofDomain int
	}
	list := make([]ranked, len(asked))
	for n, i := range asked {
		list[n] = ranked{i, counts[i.Contact.Domain()]}
	}
	slices.SortFunc(list, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.ofDomain, b.ofDomain), cmp.Compare(b.Version, a.Version))
	})
	for n := range maxRequests {
		asked[n] = list[n].Item
	}
	return asked[:maxRequests]
}
