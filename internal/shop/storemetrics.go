package shop

// encodePostgres writes the metrics of the collector's postgresql receiver.
func (p *pod) encodePostgres(w *writer, s *Simulation) {
	inUse := 0.0
	for _, svc := range s.services {
		for _, caller := range svc.pods {
			inUse += caller.metrics.connected[ordersDB]
		}
	}
	const resting = 24
	backends := w.point(w.sum("postgresql.backends", "1", "Connections to the database.", false))
	backends.Attributes().PutStr("postgresql.database.name", "orders")
	blocked := inUse / s.cfg.MetricsInterval.Seconds()
	backends.SetIntValue(min(maxConnections, resting+int64(blocked)))
	w.gauge("postgresql.connection.max", "{connections}", "Connections that the database allows.").SetIntValue(maxConnections)
	locks := w.gauge("postgresql.database.locks", "{lock}", "Locks that are held or waited for.")
	locks.Attributes().PutStr("mode", "RowExclusiveLock")
	locks.SetIntValue(2 + int64(2*blocked*min(1, p.effect.lock)+12*p.effect.lock))
	commits := w.point(w.sum("postgresql.commits", "1", "Transactions committed.", true))
	commits.Attributes().PutStr("postgresql.database.name", "orders")
	commits.SetIntValue(p.metrics.queries - p.metrics.deadlocks)
	rollbacks := w.point(w.sum("postgresql.rollbacks", "1", "Transactions rolled back.", true))
	rollbacks.Attributes().PutStr("postgresql.database.name", "orders")
	rollbacks.SetIntValue(p.metrics.deadlocks)
}

// encodeRedis writes the metrics of the collector's redis receiver.
func (p *pod) encodeRedis(w *writer, s *Simulation) {
	const fragmented = 1.5 // added by slow replies: what makes them slow is memory that is full of holes
	w.gauge("redis.memory.used", "By", "Memory that the data take.").SetIntValue(int64(p.memory * p.svc.spec.memLimit * (0.5 + s.hitRatio/2)))
	w.gauge("redis.memory.fragmentation_ratio", "1", "Memory taken from the system per memory used.").SetDoubleValue(1.08 + p.drift + fragmented*min(1, 5*p.effect.delay))
	w.point(w.sum("redis.keyspace.hits", "{hit}", "Reads that found the key.", true)).SetIntValue(p.metrics.hits)
	w.point(w.sum("redis.keyspace.misses", "{miss}", "Reads that did not.", true)).SetIntValue(p.metrics.misses)
	w.point(w.sum("redis.commands.processed", "{command}", "Commands processed.", true)).SetIntValue(p.metrics.queries)
}
