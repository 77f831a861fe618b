# Redis and PostgreSQL, in the private subnets.

resource "aws_elasticache_subnet_group" "cache" {
  name       = var.name
  subnet_ids = aws_subnet.private[*].id
}

resource "aws_elasticache_replication_group" "cache" {
  replication_group_id = var.name
  description          = "Answers already given"
  engine               = "redis"
  engine_version       = "7.1"
  node_type            = var.redis_node_type
  port                 = 6379
  subnet_group_name    = aws_elasticache_subnet_group.cache.name
  security_group_ids   = [aws_security_group.redis.id]

  num_cache_clusters         = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true

  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  auth_token                 = var.redis_password
  auth_token_update_strategy = "ROTATE"
}

resource "aws_db_subnet_group" "database" {
  name       = var.name
  subnet_ids = aws_subnet.private[*].id
}

# Without `db_name`: the playbook creates the application's database, its two users and its tables.
resource "aws_db_instance" "database" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = "17"
  instance_class = var.database_instance_class
  username       = var.database_admin_user
  password       = var.database_admin_password

  allocated_storage     = var.database_disk_gib
  max_allocated_storage = var.database_disk_gib * 5
  storage_type          = "gp3"
  storage_encrypted     = true

  db_subnet_group_name   = aws_db_subnet_group.database.name
  vpc_security_group_ids = [aws_security_group.database.id]
  publicly_accessible    = false
  multi_az               = var.database_multi_az

  backup_retention_period   = 7
  copy_tags_to_snapshot     = true
  deletion_protection       = var.database_protected
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-final"
}
