# What modules written in Python commonly use of `ansible.module_utils`: AnsibleModule, its checks of arguments, and conversions.
import json as _json
import os as _os
import sys as _sys
import types as _types
from importlib.machinery import ModuleSpec as _Spec


def to_text(value, encoding='utf-8', errors='surrogateescape', nonstring='simplerepr'):
    if isinstance(value, bytes):
        return value.decode(encoding, 'surrogateescape' if errors == 'surrogate_or_strict' else errors or 'strict')
    return value if isinstance(value, str) or nonstring == 'passthru' else str(value)


def to_bytes(value, encoding='utf-8', errors='surrogateescape', nonstring='simplerepr'):
    if isinstance(value, bytes) or nonstring == 'passthru' and not isinstance(value, str):
        return value
    return str(value).encode(encoding, 'surrogateescape')


_TRUE = ('y', 'yes', 'on', '1', 'true', 't', '1.0')
_FALSE = ('n', 'no', 'off', '0', 'false', 'f', '0.0')
BOOLEANS_TRUE = frozenset(_TRUE + (1, 1.0, True))
BOOLEANS_FALSE = frozenset(_FALSE + (0, 0.0, False))
BOOLEANS = BOOLEANS_TRUE | BOOLEANS_FALSE


def boolean(value, strict=True):
    if isinstance(value, bool):
        return value
    word = str(to_text(value)).lower().strip()
    if word in _TRUE:
        return True
    if word in _FALSE or not strict:
        return False
    raise TypeError("The value '%s' is not a valid boolean." % value)


def _plain(value):
    if isinstance(value, dict):
        return {to_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return to_text(value)


def _dict(value):
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and value.strip().startswith('{'):
        return _json.loads(value)
    if isinstance(value, str) and '=' in value:
        return dict(part.strip().split('=', 1) for part in value.replace(',', ' ').split())
    raise TypeError('%s cannot be converted to a dict' % type(value))


def _list(value):
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str):
        return [part.strip() for part in value.split(',')] if value else []
    return [str(value)]


def _bytes(value):
    text = str(value).strip()
    units = {'K': 10, 'M': 20, 'G': 30, 'T': 40, 'P': 50, 'E': 60}
    number = text.rstrip('bBiI')
    if number and number[-1].upper() in units:
        return int(float(number[:-1]) * (1 << units[number[-1].upper()]))
    return int(float(number))


_KINDS = {
    'str': lambda value: value if isinstance(value, str) else str(value),
    'path': lambda value: _os.path.expanduser(_os.path.expandvars(str(value))),
    'int': lambda value: int(str(value).strip()),
    'float': float,
    'bool': boolean,
    'list': _list,
    'dict': _dict,
    'raw': lambda value: value,
    'json': lambda value: value if isinstance(value, str) else _json.dumps(value),
    'jsonarg': lambda value: value if isinstance(value, str) else _json.dumps(value),
    'bytes': _bytes,
    'bits': _bytes,
}


def env_fallback(*names, **_):
    for name in names:
        if name in _os.environ:
            return _os.environ[name]
    raise KeyError(names)


def missing_required_lib(library, reason=None, url=None):
    return 'Failed to import the required Python library (%s) on %s.' % (library, _os.uname()[1])


FILE_COMMON_ARGUMENTS = {
    name: {'type': kind}
    for name, kind in (
        ('mode', 'raw'), ('owner', 'str'), ('group', 'str'), ('seuser', 'str'), ('serole', 'str'), ('selevel', 'str'),
        ('setype', 'str'), ('attributes', 'str'), ('unsafe_writes', 'bool'),
    )
}


class AnsibleModule(object):
    def __init__(self, argument_spec, bypass_checks=False, no_log=False, mutually_exclusive=None, required_together=None,
                 required_one_of=None, add_file_common_args=False, supports_check_mode=False, required_if=None, required_by=None):
        self._name = _GIVEN.get('_ansible_module_name')
        self.check_mode = bool(_GIVEN.get('_ansible_check_mode'))
        self._diff = bool(_GIVEN.get('_ansible_diff'))
        self._debug = bool(_GIVEN.get('_ansible_debug'))
        self._verbosity = _GIVEN.get('_ansible_verbosity', 0)
        self.ansible_version = _GIVEN.get('_ansible_version')
        self.no_log = no_log
        self.supports_check_mode = supports_check_mode
        self._warnings, self._deprecations, self.cleanup_files = [], [], []
        self.run_command_environ_update = {}
        self.tmpdir = None
        self.argument_spec = dict(argument_spec)
        if add_file_common_args:
            for name, row in FILE_COMMON_ARGUMENTS.items():
                self.argument_spec.setdefault(name, row)
        if self.check_mode and not supports_check_mode:
            self.exit_json(skipped=True, msg='remote module (%s) does not support check mode' % self._name)
        given = {name: value for name, value in _GIVEN.items() if not name.startswith('_ansible_')}
        self.params = self._checked(self.argument_spec, given, '')
        self._related(self.params, mutually_exclusive, required_together, required_one_of, required_if, required_by)

    def _checked(self, spec, given, inside):
        where = ' found in %s' % inside if inside else ''
        names = {}
        for name, row in spec.items():
            for other in [name] + list(row.get('aliases') or []):
                names[other] = name
        unknown = sorted(name for name in given if name not in names)
        if unknown:
            self.fail_json(msg='Unsupported parameters for (%s) module: %s%s. Supported parameters include: %s.' % (
                self._name, ', '.join(unknown), where, ', '.join(sorted(spec))))
        params = {name: None for name in spec}
        for name, value in given.items():
            params[names[name]] = value
        for name, row in spec.items():
            if params[name] is None and row.get('fallback'):
                call, rest = row['fallback'][0], row['fallback'][1:]
                try:
                    params[name] = call(*[item for part in rest if isinstance(part, (list, tuple)) for item in part])
                except Exception:
                    pass
        missing = sorted(name for name, row in spec.items() if row.get('required') and params[name] is None)
        if missing:
            self.fail_json(msg='missing required arguments: %s%s' % (', '.join(missing), where))
        for name, row in spec.items():
            if params[name] is None and row.get('default') is not None:
                params[name] = row['default']
            if params[name] is not None:
                params[name] = self._value(name, row, params[name])
        return params

    def _value(self, name, row, value):
        kind = row.get('type', 'str')
        try:
            value = kind(value) if callable(kind) else _KINDS[kind](value)
        except Exception as error:
            self.fail_json(msg="argument '%s' is of type %s and we were unable to convert to %s: %s" % (
                name, type(value), kind, error))
        choices = row.get('choices')
        if kind == 'list' and row.get('elements'):
            if row['elements'] == 'dict' and row.get('options'):
                return [self._inner(name, row, _dict(item)) for item in value]
            return [self._value(name, {'type': row['elements'], 'choices': choices}, item) for item in value]
        if choices and (any(item not in choices for item in value) if isinstance(value, list) else value not in choices):
            self.fail_json(msg='value of %s must be one of: %s, got: %s' % (name, ', '.join(map(str, choices)), value))
        return self._inner(name, row, value) if kind == 'dict' and row.get('options') else value

    def _inner(self, name, row, value):
        params = self._checked(row['options'], value, name)
        self._related(params, *[row.get(key) for key in (
            'mutually_exclusive', 'required_together', 'required_one_of', 'required_if', 'required_by')])
        return params

    def _related(self, params, exclusive, together, one_of, conditions, required_by):
        has = [name for name, value in params.items() if value is not None]
        groups = lambda given: [given] if given and isinstance(given[0], str) else given or []
        for names in groups(exclusive):
            if sum(name in has for name in names) > 1:
                self.fail_json(msg='parameters are mutually exclusive: %s' % '|'.join(names))
        for names in groups(together):
            if 0 < sum(name in has for name in names) < len(names):
                self.fail_json(msg='parameters are required together: %s' % ', '.join(names))
        for names in groups(one_of):
            if not any(name in has for name in names):
                self.fail_json(msg='one of the following is required: %s' % ', '.join(names))
        for rule in conditions or []:
            name, value, names = rule[:3]
            missing = [other for other in names if other not in has]
            is_any = len(rule) > 3 and rule[3]
            if params.get(name) == value and (len(missing) == len(names) if is_any else missing):
                self.fail_json(msg='%s is %s but %s of the following are missing: %s' % (
                    name, value, 'any' if is_any else 'all', ', '.join(missing)))
        for name, names in (required_by or {}).items():
            missing = [other for other in ([names] if isinstance(names, str) else names) if other not in has]
            if name in has and missing:
                self.fail_json(msg="missing parameter(s) required by '%s': %s" % (name, ', '.join(missing)))

    def _secrets(self):
        return [str(self.params[name]) for name, row in self.argument_spec.items()
                if row.get('no_log') and getattr(self, 'params', {}).get(name)]

    def _leave(self, values, code):
        for path in self.cleanup_files:
            try:
                _os.unlink(path)
            except OSError:
                pass
        values = _plain(values)
        if self._warnings:
            values['warnings'] = list(values.get('warnings') or []) + self._warnings
        if self._deprecations:
            values['deprecations'] = list(values.get('deprecations') or []) + self._deprecations
        text = _json.dumps(values)
        for secret in self._secrets():
            text = text.replace(_json.dumps(secret)[1:-1], '********')
        _sys.stdout.write('\n' + text + '\n')
        _sys.stdout.flush()
        _sys.exit(code)

    def exit_json(self, **values):
        values.setdefault('changed', False)
        self._leave(values, 0)

    def fail_json(self, msg, **values):
        values.update(msg=msg, failed=True)
        self._leave(values, 1)

    def warn(self, warning):
        self._warnings.append(to_text(warning))

    def deprecate(self, msg, version=None, date=None, collection_name=None):
        self._deprecations.append({'msg': to_text(msg), 'version': version, 'date': date})

    def debug(self, msg):
        pass

    def log(self, msg, log_args=None):
        pass

    def boolean(self, value):
        return boolean(value)

    def jsonify(self, value):
        return _json.dumps(_plain(value))

    def from_json(self, text):
        return _json.loads(text)

    def add_cleanup_file(self, path):
        self.cleanup_files.append(path)

    def get_bin_path(self, program, required=False, opt_dirs=None):
        dirs = list(opt_dirs or []) + _os.environ.get('PATH', '').split(':') + ['/sbin', '/usr/sbin', '/usr/local/sbin']
        for path in [program] if '/' in program else [_os.path.join(one, program) for one in dirs if one]:
            if _os.path.isfile(path) and _os.access(path, _os.X_OK):
                return path
        if required:
            self.fail_json(msg='Failed to find required executable "%s" in paths: %s' % (program, ':'.join(dirs)))
        return None

    def run_command(self, args, check_rc=False, close_fds=True, executable=None, data=None, binary_data=False, path_prefix=None,
                    cwd=None, use_unsafe_shell=False, prompt_regex=None, environ_update=None, umask=None, encoding='utf-8',
                    errors='surrogateescape', expand_user_and_vars=True, pass_fds=None, before_communicate_callback=None,
                    ignore_invalid_cwd=True, handle_exceptions=True):
        import shlex
        import subprocess
        env = dict(_os.environ, **self.run_command_environ_update)
        env.update(environ_update or {})
        if path_prefix:
            env['PATH'] = path_prefix + ':' + env.get('PATH', '')
        if use_unsafe_shell:
            line = args if isinstance(args, (str, bytes)) else ' '.join(shlex.quote(str(word)) for word in args)
            args = [executable or '/bin/sh', '-c', to_text(line)]
        else:
            words = shlex.split(to_text(args)) if isinstance(args, (str, bytes)) else [to_text(word) for word in args]
            args = [_os.path.expanduser(_os.path.expandvars(word)) for word in words] if expand_user_and_vars else words
        if data is not None:
            data = to_bytes(data) + (b'' if binary_data else b'\n')
        cwd = cwd if cwd and _os.path.isdir(cwd) else None
        try:
            done = subprocess.run(args, input=data, stdin=None if data is not None else subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=env)
        except (OSError, IOError) as error:
            if not handle_exceptions:
                raise
            self.fail_json(rc=error.errno, stdout='', stderr='', msg=str(error), cmd=' '.join(args))
        code, out, err = done.returncode, done.stdout, done.stderr
        if encoding is not None:
            out, err = to_text(out, encoding, errors), to_text(err, encoding, errors)
        if check_rc and code != 0:
            self.fail_json(cmd=' '.join(args), rc=code, stdout=out, stderr=err, msg=to_text(err).rstrip())
        return code, out, err

    def digest_from_file(self, path, algorithm):
        import hashlib
        digest = hashlib.new(algorithm)
        with open(path, 'rb') as stream:
            for piece in iter(lambda: stream.read(65536), b''):
                digest.update(piece)
        return digest.hexdigest()

    def sha1(self, path):
        return self.digest_from_file(path, 'sha1')

    def sha256(self, path):
        return self.digest_from_file(path, 'sha256')

    def md5(self, path):
        return self.digest_from_file(path, 'md5')

    def backup_local(self, path):
        import shutil
        import time
        if not _os.path.exists(path):
            return ''
        copy = '%s.%s.%s' % (path, _os.getpid(), time.strftime('%Y-%m-%d@%H:%M:%S~', time.localtime()))
        shutil.copy2(path, copy)
        return copy

    def atomic_move(self, src, dest, unsafe_writes=False, keep_dest_attrs=True):
        import shutil
        if _os.path.exists(dest) and keep_dest_attrs:
            found = _os.stat(dest)
            _os.chmod(src, found.st_mode & 0o7777)
            if _os.getuid() == 0:
                _os.chown(src, found.st_uid, found.st_gid)
        shutil.move(src, dest)

    def load_file_common_arguments(self, params, path=None):
        path = path or params.get('path') or params.get('dest')
        names = ('mode', 'owner', 'group')
        return dict({name: params.get(name) for name in names}, path=path) if path else {}

    def set_fs_attributes_if_different(self, wanted, changed, diff=None, expand=True):
        import grp
        import pwd
        path = wanted.get('path')
        if not path or not _os.path.exists(path):
            return changed
        found = _os.stat(path)
        number = lambda text, look: int(text) if str(text).isdigit() else look(text)
        uid = -1 if wanted.get('owner') is None else number(wanted['owner'], lambda name: pwd.getpwnam(name).pw_uid)
        gid = -1 if wanted.get('group') is None else number(wanted['group'], lambda name: grp.getgrnam(name).gr_gid)
        if uid not in (-1, found.st_uid) or gid not in (-1, found.st_gid):
            changed = True
            if not self.check_mode:
                _os.chown(path, uid, gid)
        mode = wanted.get('mode')
        if mode is not None:
            mode = mode if isinstance(mode, int) else int(str(mode), 8)
            if mode != found.st_mode & 0o7777:
                changed = True
                if not self.check_mode:
                    _os.chmod(path, mode)
        return changed

    set_file_attributes_if_different = set_fs_attributes_if_different


def get_bin_path(program, opt_dirs=None, required=None):
    dirs = list(opt_dirs or []) + _os.environ.get('PATH', '').split(':') + ['/sbin', '/usr/sbin', '/usr/local/sbin']
    for path in [_os.path.join(one, program) for one in dirs if one]:
        if _os.path.isfile(path) and _os.access(path, _os.X_OK):
            return path
    raise ValueError('Failed to find required executable "%s" in paths: %s' % (program, ':'.join(dirs)))


class _Brought(object):
    """Finds the modules that came along, and the packages around them."""

    def __init__(self, parts):
        self.parts = parts
        self.packages = set()
        for name in parts:
            outer = name.rpartition('.')[0]
            while outer:
                self.packages.add(outer)
                outer = outer.rpartition('.')[0]

    def find_spec(self, name, path=None, target=None):
        part = self.parts.get(name)
        if part is None and name not in self.packages:
            return None
        return _Spec(name, self, is_package=part is None or part['package'] or name in self.packages)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        part = self.parts.get(module.__name__)
        if part is not None:
            exec(compile(part['text'], module.__name__.replace('.', '/') + '.py', 'exec'), module.__dict__)


def _run(name, args, text, package, parts):
    global _GIVEN
    _GIVEN = _json.loads(args)
    own = {key: value for key, value in globals().items() if not key.startswith('_')}
    own.update(to_native=to_text, json=_json, os=_os, sys=_sys, PY2=False, PY3=True, string_types=(str,), text_type=str,
               binary_type=bytes, integer_types=(int,), iteritems=lambda given: iter(given.items()),
               container_to_text=_plain, jsonify=_json.dumps, Mapping=dict, Sequence=list)
    own.update({'check_type_' + kind: call for kind, call in _KINDS.items()})
    for part in ('', '.module_utils', '.module_utils.basic', '.module_utils._text', '.module_utils.common',
                 '.module_utils.common.text', '.module_utils.common.text.converters', '.module_utils.common.validation',
                 '.module_utils.common._collections_compat', '.module_utils.common.dict_transformations',
                 '.module_utils.common.process', '.module_utils.parsing', '.module_utils.parsing.convert_bool',
                 '.module_utils.six', '.module_utils.six.moves'):
        made = _types.ModuleType('ansible' + part)
        made.__dict__.update(own)
        made.__path__ = []
        _sys.modules['ansible' + part] = made
        if part:
            parent, _, last = ('ansible' + part).rpartition('.')
            setattr(_sys.modules[parent], last, made)
    main = _types.ModuleType('__main__')
    main.__file__ = name + '.py'
    main.__package__ = package or None
    _sys.meta_path.insert(0, _Brought(_json.loads(parts)))
    _sys.modules['__main__'] = main
    _sys.argv = [name]
    exec(compile(text, name + '.py', 'exec'), main.__dict__)
