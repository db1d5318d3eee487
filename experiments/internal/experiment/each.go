package experiment

import (
	"context"
	"errors"
	"sync"
)

// Each calls f for 0 to n-1, at most parallel at once, and returns the first error in the order of the numbers. After an error no
// further call is begun.
func Each(ctx context.Context, parallel, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, n)
	next := make(chan int)
	var running sync.WaitGroup
	for range max(1, min(parallel, n)) {
		running.Go(func() {
			for i := range next {
				if errs[i] = f(ctx, i); errs[i] != nil {
					cancel()
				}
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	running.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return ctx.Err()
}
