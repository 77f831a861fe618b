from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url
