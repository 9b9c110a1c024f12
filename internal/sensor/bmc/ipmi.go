package bmc

import (
	"context"
	"time"
)

// asker sends one Get Power Reading and returns the answer with its completion
// code first. An error means that nothing came back.
type asker interface {
	ask(ctx context.Context) ([]byte, error)
}

// inside is the source that asks the controller of this very host.
type inside struct {
	device string
	asker  asker
	done   func(context.Context) // or nil
}

func (i *inside) sample(ctx context.Context) (sample, error) {
	if err := ctx.Err(); err != nil {
		return sample{}, err
	}
	b, err := i.asker.ask(ctx)
	if err != nil {
		return sample{}, err
	}
	return decodeDCMI(b, time.Now())
}

func (i *inside) close(ctx context.Context) {
	if i.done != nil {
		i.done(ctx)
	}
}

func (i *inside) where() string { return i.device }
