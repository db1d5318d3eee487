package shop

import "time"

// newTopology lays out who calls whom for what. Means are milliseconds of the operation's own work.
func newTopology() *topology {
	t := &topology{}
	const second = time.Second

	// Asynchronous work.
	sendMail := t.op(notification, "", "orders", 18, []string{
		"Received order confirmation task for order {order}",
		"Rendered template order-confirmation for user {user} in {ms} ms",
		"Mail for order {order} handed to relay, queue id {hex}",
	})
	trackOrder := t.op(analytics, "", "orders", 6, []string{
		"Ingested order event {order} worth {amount} EUR",
		"Flushed {n} order facts to warehouse partition {n}",
	})
	trackEvent := t.op(analytics, "", "events", 4, []string{"Ingested clickstream event of user {user}"})

	// Leaf services.
	getStock := t.op(inventory, "", "/shop.v1.Inventory/GetStock", 4, []string{
		"Stock of {sku} is {n} units",
	}, redis("GET", 0.6, sql("SELECT", "stock", 3)))
	reserve := t.op(inventory, "", "/shop.v1.Inventory/Reserve", 6, []string{
		"Reserving {n} units of {sku} for order {order}",
		"Reservation {hex} for order {order} committed in {ms} ms",
	}, sql("UPDATE", "stock", 5))
	charge := t.op(payment, "", "/shop.v1.Payment/Charge", 45, []string{
		"Charging {amount} EUR for order {order}",
		"Risk score of user {user} is {n}",
		"Payment {hex} authorised for order {order} by acquirer in {ms} ms",
	}, sql("INSERT", "payments", 4))
	quote := t.op(shipping, "", "/shop.v1.Shipping/Quote", 22, []string{
		"Quoting shipment of {n} parcels to zone {n}",
		"Carrier offered {amount} EUR for order {order}",
	}, redis("GET", 0.6, sql("SELECT", "carriers", 3)))

	getProduct := t.op(catalogue, "GET", "/products/{id}", 7, []string{
		"Loaded product {sku} in {ms} ms",
		"Rendered product {sku} with {n} variants",
	}, redis("GET", 0.6, sql("SELECT", "products", 4)))
	listProducts := t.op(catalogue, "GET", "/products", 11, []string{
		"Listed {n} products for query of user {user} in {ms} ms",
	}, redis("MGET", 1.1, sql("SELECT", "products", 7)))

	getUser := t.op(user, "GET", "/users/{user_id}", 5, []string{
		"Loaded profile of user {user}",
	}, redis("GET", 0.6, sql("SELECT", "users", 3)))
	logIn := t.op(user, "POST", "/sessions", 28, []string{
		"Login attempt of user {user} from {ip}",
		"Password of user {user} verified in {ms} ms",
		"Session {hex} opened for user {user}",
	}, sql("SELECT", "users", 3), redis("SET", 0.7), publish("events", trackEvent))

	getCart := t.op(cart, "GET", "/carts/{user_id}", 5, []string{
		"Loaded cart of user {user} with {n} items",
	}, redis("GET", 0.6, sql("SELECT", "carts", 3)))
	addItem := t.op(cart, "POST", "/carts/{user_id}/items", 8, []string{
		"Adding {n} x {sku} to cart of user {user}",
		"Stock check for {sku} passed",
		"Cart of user {user} saved, total {amount} EUR",
	}, call(getStock, second, 1, 1), redis("SET", 0.7), publish("events", trackEvent))

	// Middle tier.
	placeOrder := t.op(checkout, "POST", "/orders", 15, []string{
		"Starting checkout of user {user}",
		"Order {order} priced at {amount} EUR",
		"Payment for order {order} confirmed",
		"Order {order} placed in {ms} ms",
	},
		call(getCart, second, 1, 1), call(reserve, 3*second, 0, 1), call(quote, second, 1, 0.3),
		call(charge, 3*second, 0, 1), sql("INSERT", "orders", 5), publish("orders", sendMail, trackOrder))
	query := t.op(search, "GET", "/query", 30, []string{
		"Query of user {user} matched {n} documents",
		"Ranked {n} results in {ms} ms",
	}, call(listProducts, 2*second, 1, 1))
	recommend := t.op(recommendation, "GET", "/recommendations/{user_id}", 24, []string{
		"Scoring {n} candidates for user {user}",
		"Model answered in {ms} ms for user {user}",
		"Returned {n} recommendations to user {user}",
	}, call(getUser, second, 1, 0.3), call(listProducts, 2*second, 1, 1), publish("events", trackEvent))

	kind := func(name string, share float64, criticality, method, route string, timeout time.Duration, backends ...step) {
		api := t.op(gateway, method, "/api"+route, 2.5, []string{
			method + " /api" + route + " routed for client {ip}",
		}, backends...)
		page := t.op(frontend, method, route, 9, []string{
			"Handling " + method + " " + route + " for session {hex}",
			method + " " + route + " answered in {ms} ms",
		}, call(api, timeout, 0, 1))
		t.kinds = append(t.kinds, requestKind{name, share, criticality, page})
	}
	kind("browse", 0.45, "medium", "GET", "/products/{id}", 6*second,
		call(getProduct, 2*second, 1, 1), call(getStock, second, 1, 0.3))
	kind("search", 0.15, "medium", "GET", "/search", 6*second, call(query, 4*second, 0, 1))
	kind("recommendations", 0.12, "low", "GET", "/recommendations", 6*second, call(recommend, 4*second, 0, 1))
	kind("add-to-cart", 0.13, "high", "POST", "/cart", 6*second, call(addItem, 3*second, 0, 1))
	kind("checkout", 0.07, "critical", "POST", "/checkout", 10*second, call(placeOrder, 8*second, 0, 1))
	kind("login", 0.08, "high", "POST", "/login", 6*second, call(logIn, 4*second, 0, 1))
	return t
}
