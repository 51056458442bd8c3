"""Prometheus's rules, Grafana's dashboards, and what reads and draws them."""
