# What `roll` reads: every output is a variable of the playbook (`terraform.<name>`), sensitive ones are secrets there too.
# `outputs.example.json` shows the same in the form `terraform output -json` prints.

output "roll_hosts" {
  description = "The hosts, in the form `roll` takes without any mapping: name, address, user, groups, zone and variables of each."
  value = [
    for name, instance in aws_instance.app : {
      name    = name
      address = instance.public_ip
      user    = var.login_user
      groups  = ["app"]
      zone    = instance.availability_zone
      vars = {
        instance_id     = instance.id
        private_address = instance.private_ip
      }
    }
  ]
}

output "region" {
  description = "The region that everything is in."
  value       = var.region
}

output "app_url" {
  description = "Where the application answers, through the load balancer."
  value       = local.app_url
}

output "load_balancer_name" {
  description = "The load balancer's own DNS name, for a record that points to it."
  value       = aws_lb.main.dns_name
}

output "app_port" {
  description = "The port on which the application listens on each host."
  value       = var.app_port
}

output "target_group_arn" {
  description = "The target group whose targets a rollout takes out and puts back."
  value       = aws_lb_target_group.app.arn
}

output "request_seconds_max" {
  description = "How long a request may take; the grace of a stopping container and the deregistration delay follow from it."
  value       = var.request_seconds_max
}

output "repository_url" {
  description = "The repository for images, where a registry is used instead of a build on each host."
  value       = aws_ecr_repository.app.repository_url
}

output "registry_mirrors" {
  description = "Mirrors that the hosts' Docker asks before the public registry."
  value       = var.registry_mirrors
}

output "redis_endpoint" {
  description = "Redis, as address:port."
  value       = "${aws_elasticache_replication_group.cache.primary_endpoint_address}:${aws_elasticache_replication_group.cache.port}"
}

output "redis_tls" {
  description = "Whether Redis is spoken to over TLS."
  value       = aws_elasticache_replication_group.cache.transit_encryption_enabled
}

output "redis_password" {
  description = "The password of Redis."
  value       = var.redis_password
  sensitive   = true
}

output "database_endpoint" {
  description = "PostgreSQL, as address:port."
  value       = aws_db_instance.database.endpoint
}

output "database_name" {
  description = "The application's database; the playbook creates it."
  value       = var.database_name
}

output "database_sslmode" {
  description = "How strictly PostgreSQL connections are encrypted, in libpq's words."
  value       = "require"
}

output "database_admin_user" {
  description = "The user that creates the database and migrates it; used by the playbook only."
  value       = aws_db_instance.database.username
}

output "database_admin_password" {
  description = "Its password."
  value       = var.database_admin_password
  sensitive   = true
}

output "database_user" {
  description = "The user with which the application writes."
  value       = var.database_user
}

output "database_password" {
  description = "Its password."
  value       = var.database_password
  sensitive   = true
}

output "database_reader_user" {
  description = "The read-only user of the page that lists what was stored."
  value       = var.database_reader_user
}

output "database_reader_password" {
  description = "Its password."
  value       = var.database_reader_password
  sensitive   = true
}
