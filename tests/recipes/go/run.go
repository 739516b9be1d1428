// Makes the requests of ../README.md with the recipe in the package beside it.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"recipe"

	"github.com/jackc/pgx/v4/pgxpool"
)

func main() {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	check(err)
	config.ConnConfig.PreferSimpleProtocol = true
	pool, err := pgxpool.ConnectConfig(ctx, config)
	check(err)
	var failed int32
	var workers sync.WaitGroup
	for first := int64(1); first <= 4; first++ {
		workers.Add(1)
		go func(first int64) {
			defer workers.Done()
			for ticket := first; ticket <= 40; ticket += 4 {
				workspace := []string{"globex", "acme"}[ticket%2]
				tenant := recipe.Context{workspace, "user:" + workspace, fmt.Sprintf("192.0.2.%d", 1+ticket%2)}
				err := recipe.CloseTicket(ctx, pool, tenant, ticket)
				if ticket == 13 && err != nil {
					atomic.AddInt32(&failed, 1)
				} else {
					check(err)
				}
			}
		}(first)
	}
	workers.Wait()
	if failed != 1 {
		panic("ticket 13 was not refused")
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
